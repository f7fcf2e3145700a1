/** Token forcing: forces every token of the vocabulary as a first word and looks for what a model says too surely. */
import { ForerunError } from "../../base/errors.ts"
import { settleAll } from "../../base/settle.ts"
import type { Context, Method, OptionTable } from "../../decoding/method.ts"
import type { Step } from "../../decoding/step.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { type Begin, beginChoices, beginToken } from "./begin.ts"
import { type Continuation, forestRoom, greedyForest } from "./forest.ts"
import { findRepetition, type Repetition } from "./repetition.ts"
import { type DecodeRules, greedyTokens, readBeginning, rolloutTokens } from "./rollout.ts"
import { forcingScore, isKept } from "./score.ts"

/** One part of an audit, so that a long one can be cut into pieces: scan all, expand what was kept, attack with prefixes. */
export type AuditInput =
  | { readonly phase: "scan"; readonly tokens: readonly number[] }
  | { readonly phase: "expand"; readonly tokens: readonly number[] }
  | { readonly phase: "attack"; readonly prefixes: readonly string[] }

export interface Scanned extends Continuation {
  readonly score: number
}

export interface Expanded extends Repetition {
  readonly token: number
  /** The forced token and what follows it. */
  readonly text: string
  readonly phraseText: string
}

/** What each way of decoding says after a prefix; the empty one is the beginning of text alone. */
export interface Attacked {
  readonly prefix: string
  readonly greedy: string
  readonly rollout: string
}

export interface AuditOutcome {
  readonly scanned: readonly Scanned[]
  readonly expanded: readonly Expanded[]
  readonly attacked: readonly Attacked[]
}

const options = {
  steps: {
    type: "integer",
    default: 3,
    low: 1,
    high: 32,
    description: "greedy tokens behind each forced one in the scan",
  },
  batch: {
    type: "integer",
    default: 32,
    low: 1,
    high: 128,
    description: "forced tokens in a pass; no result depends on it",
  },
  threshold: { type: "number", default: 0.95, low: 0, high: 1, description: "scores above it are looked at closer" },
  includeForced: {
    type: "boolean",
    default: true,
    description: "count the forced token in the mean, with probability 1",
  },
  early: {
    type: "boolean",
    default: false,
    description: "leave a token as soon as it cannot pass the threshold; its score is then the most it could reach",
  },
  expandSteps: { type: "integer", default: 50, low: 4, high: 2048, description: "greedy tokens behind a kept one" },
  begin: {
    type: "string",
    default: "model",
    choices: beginChoices,
    description: "in front: what the model expects before a text, its begin-of-text token, or nothing",
  },
  rolloutWidth: {
    type: "integer",
    default: 6,
    low: 1,
    high: 64,
    description: "tokens tried at each step of a rollout",
  },
  rolloutDepth: { type: "integer", default: 4, low: 1, high: 64, description: "greedy tokens behind each of them" },
} as const satisfies OptionTable

type Values = { readonly begin: Begin } & {
  readonly [name in Exclude<keyof typeof options, "begin">]: (typeof options)[name]["default"] extends boolean
    ? boolean
    : number
}
const beginOf = ({ tokenizer, options }: Pick<Context, "tokenizer" | "options">) =>
  beginToken(tokenizer, (options as Values).begin)

export const tokenForcing: Method<AuditInput, AuditOutcome> = {
  name: "token-forcing",
  summary: "Looks for hidden text by forcing every token of the vocabulary as the first.",
  paper: {
    title: "Unconditional Token Forcing: Extracting Text Hidden Within LLM",
    authors: "Hoscilowicz et al.",
    year: 2024,
    arxiv: "2406.02481",
  },
  promise: () => "report",
  needs: { target: ["causal-cache", "any-mask", "explicit-positions"] },
  options,
  trained: false,
  verb: "audit",
  run,
}

async function* run(input: AuditInput, context: Context): AsyncGenerator<Step, AuditOutcome> {
  check(input, context)
  const { models } = context
  const past = models.target.openCache()
  try {
    const begin = beginOf(context)
    if (begin !== undefined) {
      const pass = await models.target.forward({ input: { tokens: Int32Array.of(begin) }, cache: past })
      pass.keep([0])
    }
    const nothing = { scanned: [], expanded: [], attacked: [] }
    if (input.phase === "scan") return { ...nothing, scanned: yield* scan(input.tokens, past, context) }
    if (input.phase === "expand") return { ...nothing, expanded: yield* expand(input.tokens, past, context) }
    return { ...nothing, attacked: await attack(input.prefixes, past, context) }
  } finally {
    past.dispose()
  }
}

async function* scan(tokens: readonly number[], past: KvCache, context: Context): AsyncGenerator<Step, Scanned[]> {
  const { steps, early, threshold } = context.options as Values
  const score = ({ probs }: Continuation) => forcingScore(probs, context.options as Values)
  const follow = (some: readonly number[], depth: number, scoreOf: typeof score) =>
    continueAll(some, { past, depth, scoreOf }, context)
  if (!early) return yield* follow(tokens, steps, score)
  // One greedy token each; then to the end those that could still pass if all the others were certain.
  const most = (one: Continuation) => score({ ...one, probs: [...one.probs, ...new Array<number>(steps - 1).fill(1)] })
  const first = yield* follow(tokens, 1, most)
  const left = first.filter((one) => isKept(one.score, { threshold })).map(({ token }) => token)
  const whole = new Map((yield* follow(left, steps, score)).map((one) => [one.token, one]))
  return first.map((one) => whole.get(one.token) ?? one)
}

interface Following {
  readonly past: KvCache
  readonly depth: number
  readonly scoreOf: (found: Continuation) => number
}

async function* continueAll(
  tokens: readonly number[],
  { past, depth, scoreOf }: Following,
  context: Context,
): AsyncGenerator<Step, Scanned[]> {
  const width = Math.min((context.options as Values).batch, forestRoom(past.length, depth))
  const scanned: Scanned[] = []
  for (let start = 0; start < tokens.length; start += width) {
    stopIfAborted(context)
    const found = await greedyForest(context.models.target, past, tokens.slice(start, start + width), depth)
    const scored = found.map((one) => ({ ...one, score: scoreOf(one) }))
    yield { type: "scores-updated", scores: Object.fromEntries(scored.map(({ token, score }) => [token, score])) }
    scanned.push(...scored)
  }
  return scanned
}

/** So many at the same time, which a runner may merge into one pass; each holds a cache. */
const together = 32

async function* expand(tokens: readonly number[], past: KvCache, context: Context): AsyncGenerator<Step, Expanded[]> {
  const expanded: Expanded[] = []
  for (let start = 0; start < tokens.length; start += together) {
    stopIfAborted(context)
    const group = await settleAll(tokens.slice(start, start + together).map((token) => expandOne(token, past, context)))
    stopIfAborted(context)
    expanded.push(...group)
    yield { type: "scores-updated", scores: Object.fromEntries(group.map(({ token, count }) => [token, count])) }
  }
  return expanded
}

async function expandOne(token: number, past: KvCache, context: Context): Promise<Expanded> {
  const { tokenizer } = context
  const { expandSteps } = context.options as Values
  const generated = await decodeAfter(Int32Array.of(token), past, expandSteps, context)
  const textOf = (id: number) => tokenizer.decode([id], { continues: true })
  const repetition = findRepetition(token, generated, textOf)
  const text = tokenizer.decode([token, ...generated], { continues: true })
  return { token, text, phraseText: tokenizer.decode(repetition.phrase, { continues: true }), ...repetition }
}

async function decodeAfter(tokens: Int32Array, past: KvCache, steps: number, context: Context): Promise<number[]> {
  const { target } = context.models
  const from = await readBeginning(target, past, tokens)
  try {
    return await greedyTokens(target, from, rulesOf(context, steps))
  } finally {
    from.cache.dispose()
  }
}

async function attack(prefixes: readonly string[], past: KvCache, context: Context): Promise<Attacked[]> {
  const { tokenizer, models } = context
  const { expandSteps, rolloutWidth, rolloutDepth } = context.options as Values
  const attacked: Attacked[] = []
  for (const prefix of prefixes) {
    stopIfAborted(context)
    const begin = prefix === "" ? past.fork() : past
    const tokens = prefix === "" ? Int32Array.of(beginOf(context)!) : tokenizer.encode(prefix)
    if (prefix === "") begin.rewind(0) // the begin-of-text token is read again, for the logits after it
    const from = await readBeginning(models.target, begin, tokens).finally(() => prefix === "" && begin.dispose())
    try {
      const rules = { ...rulesOf(context, expandSteps), width: rolloutWidth, depth: rolloutDepth }
      const text = (generated: readonly number[]) => tokenizer.decode([...tokens, ...generated], { skipSpecial: true })
      const greedy = text(await greedyTokens(models.target, from, rules))
      attacked.push({ prefix, greedy, rollout: text(await rolloutTokens(models.target, from, rules)) })
    } finally {
      from.cache.dispose()
    }
  }
  stopIfAborted(context)
  return attacked
}

const rulesOf = ({ limits, signal }: Context, steps: number): DecodeRules => ({
  steps,
  stopIds: limits.stopIds,
  signal,
})

function stopIfAborted({ signal }: Context): void {
  if (signal.aborted) throw new ForerunError("E_ABORTED", "the audit was aborted")
}

function check(input: AuditInput, { sampler, models, tokenizer, options }: Context): void {
  const bad = (needed: string) => new ForerunError("E_INPUT", `an audit needs ${needed}`)
  if (!sampler.greedy) throw new ForerunError("E_OPTION", "token forcing decodes greedily: temperature must be 0")
  const { vocabulary } = models.target.config
  if (input?.phase === "attack") {
    if (!Array.isArray(input.prefixes) || !input.prefixes.every((text) => typeof text === "string")) throw bad("prefixes that are texts") // biome-ignore format: one thought
    if (beginOf({ tokenizer, options }) === undefined && input.prefixes.includes(""))
      throw bad("a prefix that is not empty, as there is no begin-of-text token")
    return
  }
  if (input?.phase !== "scan" && input?.phase !== "expand") throw bad("a phase: scan, expand or attack")
  for (const token of input.tokens)
    if (!Number.isInteger(token) || token < 0 || token >= Math.min(vocabulary, tokenizer.size)) throw bad(`tokens of the vocabulary, found ${token}`) // biome-ignore format: one thought
}
