/** Feature drafting in the drafting process: texts, caches and growing trees stay there; new rows go in, trees come out. */
import type { DrafterSizes } from "../../models/drafter/sizes.ts"
import type { GraphRunner } from "../../runtime/graph-runner.ts"
import { createRun } from "./draft-part.ts"
import { createDraftSession, type DraftSession, type DraftTask } from "./draft-session.ts"
import type { ScoredTree } from "./grow.ts"

export interface ProgramSetup {
  readonly sizes: DrafterSizes
  readonly vocabulary: Int32Array
  /** What the tokens of the vocabulary look like to the drafter. [vocabulary, hidden] */
  readonly embedding: Float32Array
}

/** `others`: tokens of the task that are not in the vocabulary, and what they look like. */
export interface GrowCall {
  readonly session: number
  readonly task: DraftTask
  readonly others: { readonly tokens: readonly number[]; readonly embedding: Float32Array }
}

export type ProgramCall = GrowCall | { readonly session: number; readonly ends: true }

export function start(runner: Pick<GraphRunner, "run">, { sizes, vocabulary, embedding }: ProgramSetup) {
  const { hidden } = sizes
  const known = new Map<number, Float32Array>()
  const learn = (tokens: ArrayLike<number>, rows: Float32Array) => {
    for (let i = 0; i < tokens.length; i++) known.set(tokens[i]!, rows.subarray(i * hidden, (i + 1) * hidden))
  }
  learn(vocabulary, embedding)
  const embed = (tokens: Int32Array) => {
    const rows = new Float32Array(tokens.length * hidden)
    for (const [i, token] of tokens.entries()) rows.set(known.get(token)!, i * hidden)
    return rows
  }
  const run = createRun(sizes, { runner, vocabulary, embed })
  const sessions = new Map<number, DraftSession>()
  return async (call: ProgramCall): Promise<ScoredTree | undefined> => {
    if ("ends" in call) {
      sessions.delete(call.session)
      return undefined
    }
    learn(call.others.tokens, call.others.embedding)
    const session = sessions.get(call.session) ?? createDraftSession({ sizes, run })
    sessions.set(call.session, session)
    return session.grow(call.task)
  }
}
