/** The plan of a job: which prompts share which prefix, in what order they run, and what that saves. Pure. */
import { ForerunError } from "../../base/errors.ts"
import { exactGroups, type Grouping } from "./exact-groups.ts"
import { firstLevelGroups, paperGroups } from "./paper-groups.ts"
import { buildTree, type PrefixTree } from "./prefix-tree.ts"

/** exact: the optimum; paper: the released greedy; first-level: the root's children as they are; none: no sharing. */
export const planModes = ["exact", "paper", "first-level", "none"] as const
export type PlanMode = (typeof planModes)[number]

/** ratio: most decode tokens per prefill token first (§6.4); arrival: as the prompts came. */
export const planOrders = ["ratio", "arrival"] as const
export type PlanOrder = (typeof planOrders)[number]

export interface PlanOptions {
  readonly mode?: PlanMode
  readonly order?: PlanOrder
  /** Shared prefixes are multiples of this; default 1. */
  readonly blockSize?: number
  /** Tokens at the end of a prompt that it never shares; default 1, so that its last logits are its own pass's. */
  readonly ownTokens?: number
  /** Tokens that will be generated, for all or for each prompt; default 0. */
  readonly predictedDecode?: number | readonly number[]
}

export interface PlannedMember {
  readonly id: number
  /** What is left of the prompt behind the group's prefix. */
  readonly suffix: Int32Array
  readonly decodeTokens: number
}

export interface PlannedGroup {
  /** Empty for a prompt that shares nothing: such a group has one member. */
  readonly prefix: Int32Array
  /** In order of arrival. */
  readonly members: readonly PlannedMember[]
  /** Tokens read for the group, its prefix counted once. */
  readonly prefillTokens: number
  /** Decode tokens over prefill tokens. */
  readonly ratio: number
}

export interface Plan {
  readonly groups: readonly PlannedGroup[]
  /** Prompt ids as they will run. */
  readonly order: readonly number[]
  readonly logicalTokens: number
  /** Tokens that are read under this plan. */
  readonly physicalTokens: number
  /** Tokens that would be read if prefixes shared prefixes in their turn, at any depth: no plan reads fewer. */
  readonly multiLevelTokens: number
  /** 1 - physical / logical. */
  readonly saving: number
}

/** @throws ForerunError E_INPUT for an empty prompt, E_OPTION */
export function planBatch(prompts: readonly ArrayLike<number>[], options: PlanOptions = {}): Plan {
  const { mode = "exact", order = "ratio", predictedDecode = 0 } = options
  const blockSize = count("blockSize", options.blockSize ?? 1, 1)
  const ownTokens = count("ownTokens", options.ownTokens ?? 1, 0)
  if (typeof predictedDecode !== "number" && predictedDecode.length !== prompts.length)
    throw new ForerunError(
      "E_OPTION",
      `predictedDecode has ${predictedDecode.length} entries for ${prompts.length} prompts`,
    )
  const tokens = prompts.map((prompt) => (prompt instanceof Int32Array ? prompt : Int32Array.from(prompt)))
  const empty = tokens.findIndex(({ length }) => length === 0)
  if (empty >= 0) throw new ForerunError("E_INPUT", `prompt ${empty} is empty: at least one token is needed`)
  const usable = (depth: number) => depth - (depth % blockSize)
  const lengths = tokens.map(({ length }) => length)
  const tree = buildTree(
    tokens,
    lengths.map((length) => Math.max(0, length - ownTokens)),
  )
  const groupings = groupBy(mode, tree, lengths, usable)
  const decode = (id: number) => (typeof predictedDecode === "number" ? predictedDecode : predictedDecode[id]!)
  const groups = groupings.map((grouping) => planGroup(grouping, tokens, decode))
  groups.sort((a, b) => (order === "ratio" ? b.ratio - a.ratio : 0) || a.members[0]!.id - b.members[0]!.id)
  const logicalTokens = sum(lengths)
  const physicalTokens = sum(groups.map(({ prefillTokens }) => prefillTokens))
  return {
    groups,
    order: groups.flatMap(({ members }) => members.map(({ id }) => id)),
    logicalTokens,
    physicalTokens,
    multiLevelTokens: multiLevel(tree, lengths, usable),
    saving: logicalTokens === 0 ? 0 : 1 - physicalTokens / logicalTokens,
  }
}

function groupBy(mode: PlanMode, tree: PrefixTree, lengths: readonly number[], usable: (depth: number) => number) {
  const all = {
    exact: () => exactGroups(tree, lengths, usable),
    paper: () => paperGroups(tree),
    "first-level": () => firstLevelGroups(tree),
    none: () => [{ prefixLength: 0, prompts: lengths.map((_, id) => id) }],
  }[mode]()
  // A prefix is worth a pass of its own only where two need it.
  return all.flatMap(({ prefixLength, prompts }): Grouping[] => {
    if (usable(prefixLength) > 0 && prompts.length > 1)
      return [{ prefixLength: usable(prefixLength), prompts: [...prompts].sort((a, b) => a - b) }]
    return prompts.map((id) => ({ prefixLength: 0, prompts: [id] }))
  })
}

function planGroup(
  { prefixLength, prompts }: Grouping,
  tokens: readonly Int32Array[],
  decode: (id: number) => number,
): PlannedGroup {
  const prefix = tokens[prompts[0]!]!.subarray(0, prefixLength)
  const members = prompts.map((id) => ({
    id,
    suffix: tokens[id]!.subarray(prefixLength),
    decodeTokens: decode(id),
  }))
  const prefillTokens = prefixLength + sum(members.map(({ suffix }) => suffix.length))
  return { prefix, members, prefillTokens, ratio: sum(members.map((one) => one.decodeTokens)) / prefillTokens }
}

/** Every edge of the tree once, and what of each prompt lies behind its node. */
function multiLevel({ nodes }: PrefixTree, lengths: readonly number[], usable: (depth: number) => number): number {
  let total = 0
  for (const { parent, end, prompts } of nodes) {
    const depth = usable(end)
    if (parent) total += depth - usable(parent.end)
    for (const id of prompts) total += lengths[id]! - depth
  }
  return total
}

function count(name: string, value: number, low: number): number {
  if (Number.isSafeInteger(value) && value >= low) return value
  throw new ForerunError("E_OPTION", `${name} must be an integer of at least ${low}; found ${value}`)
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
