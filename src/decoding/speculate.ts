/** The loop of every speculative method: draft, verify in one pass, keep what the target agrees with. */
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ForwardPass, ForwardResult, Matrix, Want } from "../runtime/pass.ts"
import { type AcceptRule, createDice, sampleAndMatch, type Verdict } from "./accept.ts"
import {
  type CandidateTree,
  type CutTree,
  checkTree,
  childrenOf,
  cutTree,
  emptyTree,
  type Room,
} from "./candidate-tree.ts"
import type { DraftBudget, DraftedToken } from "./draft-budget.ts"
import type { Law } from "./law.ts"
import { describeToken } from "./logprobs.ts"
import type { Completion, Context, Limits, Prompt } from "./method.ts"
import { prefill } from "./prefill.ts"
import type { DraftDecision, Step, Token } from "./step.ts"
import { createTokenHistory, type TokenHistory } from "./token-history.ts"
import { draftDepth, lawsBelow, roomForDraft, verificationPass } from "./verification.ts"

export interface Draft {
  readonly tree: CandidateTree
  /** By parent (-1: the pending token), the law its children were drawn from, in order and without replacement. */
  readonly laws?: ReadonlyMap<number, Law>
  /** Which tokens are alike in how often they come true: a match's length, a confidence. Default: depth. [nodes] */
  readonly grades?: readonly number[]
  /** Nodes that come from the text the caller expects. */
  readonly predicted?: readonly number[]
  /** Of a drafter that chooses among others. */
  readonly decision?: DraftDecision
}

/** What a drafter may look at. Live: it changes as the run goes on. */
export interface DraftState {
  /** Prompt and committed tokens. The last one is pending: it is not in the cache yet, and drafts hang below it. */
  readonly tokens: readonly number[]
  /** The same, as penalties need it. Push drafted tokens to see the laws below them, and rewind. */
  readonly history: TokenHistory
  /** The target's past. To run the target, fork it; only a drafter that verifies too may run layers ahead in it. */
  readonly cache: KvCache
  /** The most that verification takes now. Never empty. */
  readonly room: Room
  goesOn(drafted: DraftedToken): boolean
}

/** What came of a draft. */
export interface DraftedRound {
  /** The draft as it was verified. */
  readonly tree: CandidateTree
  /** Index that each node of it had in the proposed tree; -1: the node is another drafter's. */
  readonly nodes: readonly number[]
  readonly verdict: Verdict
  /** Tokens committed: accepted ones, then the target's own. Fewer if the run ended among them. */
  readonly committed: readonly number[]
  /** Row 0 belongs to the pending token, row j + 1 to node j. [nodes + 1, vocabulary] */
  readonly logits: Matrix
  /** The wanted hidden states of the same rows. */
  readonly hidden: ForwardResult["hidden"]
  /** Rows that went into the cache: 0, and path + 1. */
  readonly kept: readonly number[]
}

export interface Drafter {
  /** Hidden states it wants of every pass of the target, prompt and verification. */
  readonly wantHidden?: Want["hidden"]
  /** A chunk of the prompt was read, from token `start` on. */
  read?(start: number, pass: Pick<ForwardResult, "hidden">): void
  /** At most `state.room`; what is more is cut. Called only when there is room. */
  propose(state: DraftState): Promise<Draft>
  /**
   * Runs a verification pass in the target's stead, for a drafter that has run some of the target's layers on these
   * rows already. The result has the pass's rows and wants, and `keep` writes every layer. Nothing: the run was aborted
   * between its passes. Default: `target.forward`.
   */
  verify?(pass: ForwardPass): Promise<ForwardResult | undefined>
  /**
   * Called while the target verifies this draft: may draft the next one, from a guess of what comes of it.
   * @param nodes index that each node of the tree has in the draft that was proposed
   */
  ahead?(tree: CandidateTree, nodes: readonly number[]): Promise<void>
  observe?(round: DraftedRound): void
  dispose?(): void
}

export interface SpeculationParts {
  readonly drafter: Drafter
  readonly budget: DraftBudget
  /** Default sampleAndMatch: the tokens of plain decoding, also when sampling. */
  readonly accept?: AcceptRule
}

export async function* speculate(
  prompt: Prompt,
  context: Context,
  parts: SpeculationParts,
): AsyncGenerator<Step, Completion> {
  const { sampler, random, signal, logprobs } = context
  const { drafter } = parts
  // A drafter that wants to see the prompt's passes needs them to be run.
  const read = drafter.wantHidden || drafter.read || signal.aborted ? undefined : prompt.read
  const run = createRun(prompt, context, read?.cache)
  const { tokens, cache } = run
  try {
    const first = read
      ? read.logits
      : yield* prefill(context.models.target, cache, prompt.tokens, {
          signal,
          hidden: drafter.wantHidden ?? [],
          onChunk: (start, pass) => drafter.read?.(start, pass),
        })
    if (!first) return { tokens, reason: "abort" }
    yield run.commit([describeToken(sampler.pick(first, run.history, random), first, logprobs)])
    for (;;) {
      const end = run.end()
      if (end) return { tokens, reason: end }
      if (signal.aborted) break
      const draft = await propose(run, parts)
      if (signal.aborted) break
      yield proposed(draft)
      if (signal.aborted) break // the caller's doing, while it had the step
      const round = await verify(run, draft, parts)
      if (!round) break
      yield round.verified
      yield run.commit(round.committed)
    }
    return { tokens, reason: "abort" }
  } finally {
    cache.dispose()
    drafter.dispose?.()
  }
}

/** One run's text, and everything that grows with it. */
function createRun(prompt: Prompt, context: Context, past?: KvCache) {
  const { models, random, limits } = context
  const sequence = [...prompt.tokens]
  const history = createTokenHistory(prompt.tokens)
  const tokens: Token[] = []
  return {
    context,
    cache: past ? past.fork() : models.target.openCache(),
    sequence,
    history,
    tokens,
    dice: createDice(random.fork("accept"), random),
    commit(added: readonly Token[]): Step {
      const positions = added.map((_, i) => sequence.length + i)
      for (const token of added) {
        tokens.push(token)
        sequence.push(token.id)
        history.push(token.id)
      }
      return { type: "tokens-committed", branch: 0, positions, tokens: added }
    },
    end(): "stop" | "length" | undefined {
      if (limits.stopIds.has(sequence.at(-1)!)) return "stop"
      return tokens.length >= limits.maxTokens ? "length" : undefined
    },
  }
}
type Run = ReturnType<typeof createRun>

/** A draft that fits, and where its nodes came from. */
interface FittedDraft extends CutTree, Pick<Draft, "laws" | "predicted" | "decision"> {}

function proposed({ tree, nodes, predicted, decision }: FittedDraft): Step {
  const step = { type: "draft-proposed", branch: 0, tree, ...(decision ? { decision } : {}) } as const
  if (predicted === undefined) return step
  const before = new Set(predicted)
  return { ...step, predicted: nodes.flatMap((node, i) => (before.has(node) ? [i] : [])) }
}

async function propose(run: Run, { drafter, budget }: SpeculationParts): Promise<FittedDraft> {
  const { context, cache, sequence, history, tokens } = run
  const { models, limits } = context
  const { target } = models
  const left = limits.maxTokens - tokens.length
  const room = roomForDraft(budget.next(), { past: cache.length, context: target.config.context, left })
  const goesOn = (drafted: DraftedToken) => budget.goesOn?.(drafted) ?? true
  const draft: Draft =
    room.nodes === 0 ? { tree: emptyTree } : await drafter.propose({ tokens: sequence, history, cache, room, goesOn })
  checkTree(draft.tree, target.config.vocabulary)
  return { ...draft, ...cutTree(draft.tree, room, limits.stopIds) }
}

async function verify(run: Run, { tree, nodes, laws }: FittedDraft, parts: SpeculationParts) {
  const { drafter, budget, accept = sampleAndMatch } = parts
  const { context, cache, sequence, history, tokens, dice } = run
  const pass = verificationPass(tree, sequence.at(-1)!, cache, drafter.wantHidden)
  const result = await both(
    drafter.verify?.(pass) ?? context.models.target.forward(pass),
    tree.tokens.length > 0 ? drafter.ahead?.(tree, nodes) : undefined,
  )
  if (!result) return undefined
  const logits = result.logits!
  const law = lawsBelow(tree, logits, { sampler: context.sampler, history })
  const verdict = accept({ tree, law, draftLaw: (node) => laws?.get(nodes[node] ?? -1) }, dice)
  const kept = [0, ...verdict.path.map((node) => node + 1)]
  result.keep(kept)
  const drawn = [...verdict.path.map((node) => tree.tokens[node]!), verdict.next]
  const committed = drawn
    .slice(0, lengthUntilEnd(drawn, tokens.length, context.limits))
    .map((id, i) => describeToken(id, rowOf(logits, kept[i]!), context.logprobs))
  const accepted = Math.min(verdict.path.length, committed.length)
  const ids = committed.map(({ id }) => id)
  drafter.observe?.({ tree, nodes, verdict, committed: ids, logits, hidden: result.hidden, kept })
  budget.observe?.({ drafted: tree.tokens.length, depth: draftDepth(tree), accepted })
  const path = verdict.path.slice(0, accepted)
  const verified: Step = {
    type: "draft-verified",
    branch: 0,
    path,
    accepted,
    ...ownToken(tree, path, committed[accepted]),
  }
  return { verified, committed }
}

/** The first one's result when both are done; what either failed with, but not before the other is done too. */
async function both<Result>(running: Promise<Result>, beside: Promise<void> | undefined): Promise<Result> {
  const [first, second] = await Promise.allSettled([running, beside])
  if (first.status === "rejected") throw first.reason
  if (second.status === "rejected") throw second.reason
  return first.value
}

const rowOf = ({ data, columns }: Matrix, row: number) => data.subarray(row * columns, (row + 1) * columns)

/** How many of these tokens are committed: up to the first stop id, and to the limit. */
function lengthUntilEnd(drawn: readonly number[], before: number, { stopIds, maxTokens }: Limits): number {
  const stop = drawn.findIndex((id) => stopIds.has(id))
  return Math.min(stop < 0 ? drawn.length : stop + 1, maxTokens - before)
}

/** The target's own token after the path: a bonus where the draft had no more, else in place of what it had. */
function ownToken(tree: CandidateTree, path: readonly number[], token: Token | undefined) {
  if (token === undefined) return {}
  const hasMore = childrenOf(tree)[(path.at(-1) ?? -1) + 1]!.length > 0
  return hasMore ? { recovered: token } : { bonus: token }
}
