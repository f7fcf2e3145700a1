/** Drafts a line of tokens with a model of its own. */

import { blockSize } from "../../models/builder.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import type { ForwardResult, ModelRunner } from "../../runtime/pass.ts"
import { logSumExp } from "../../tensor/math.ts"
import { chainOf } from "../candidate-tree.ts"
import type { DraftBudget } from "../draft-budget.ts"
import { drawFrom, type Law, mostLikely } from "../law.ts"
import type { Context } from "../method.ts"
import type { Draft, Drafter, DraftState } from "../speculate.ts"

export interface ModelDrafterParts {
  readonly draft: ModelRunner
  readonly context: Pick<Context, "sampler" | "random" | "limits" | "signal">
  /** Draws drafts from the draft model's law, for the ratio rule, instead of taking its likeliest token. */
  readonly isSampled: boolean
  readonly budget?: Pick<DraftBudget, "wantsHidden">
  /** Sorts drafted tokens by the draft model's probability of them. Default: they have no grades. */
  readonly gradeOf?: (confidence: number) => number
  /** The target's: the laws are over it. */
  readonly vocabulary: number
}

export function createModelDrafter(parts: ModelDrafterParts): Drafter {
  const { draft, context, isSampled, budget, gradeOf, vocabulary } = parts
  const { sampler, limits, signal } = context
  const random = context.random.fork("draft")
  const reader = createReader(draft, { signal, wantsHidden: budget?.wantsHidden ?? false })

  async function propose({ tokens, history, room, goesOn }: DraftState): Promise<Draft> {
    const drafted: number[] = []
    const grades: number[] = []
    const laws = new Map<number, Law>()
    const committed = history.length
    // The last drafted token is not read, so the line may end where the draft model's context does.
    const most = Math.min(room.depth, draft.config.context - tokens.length + 1)
    while (drafted.length < most) {
      const pass = await reader.read(drafted.length === 0 ? tokens : [drafted.at(-1)!], drafted.length > 0)
      if (!pass) break
      const row = fitted(pass.logits!.data, vocabulary)
      const law = sampler.law(row, history)
      const token = isSampled ? drawFrom(law, random.next()) : mostLikely(law)
      if (isSampled) laws.set(drafted.length - 1, law)
      drafted.push(token)
      history.push(token)
      const hidden = pass.hidden.get("final")?.data
      const confidence = () => Math.exp(row[token]! - logSumExp(row))
      const graded = gradeOf ? { grade: gradeOf(confidence()) } : {}
      if (graded.grade !== undefined) grades.push(graded.grade)
      if (limits.stopIds.has(token)) break
      if (!goesOn({ count: drafted.length, confidence, ...graded, ...(hidden ? { hidden } : {}) })) break
    }
    history.rewind(committed)
    return { tree: chainOf(drafted), laws, ...(gradeOf ? { grades } : {}) }
  }
  return { propose, dispose: reader.dispose }
}

/** The draft model's logits over the target's vocabulary: padding of either is left out. */
function fitted(row: Float32Array, vocabulary: number): Float32Array {
  if (row.length >= vocabulary) return row.subarray(0, vocabulary)
  const wider = new Float32Array(vocabulary).fill(Number.NEGATIVE_INFINITY)
  wider.set(row)
  return wider
}

/** The draft model's cache, which follows the text: refused drafts are dropped, missing tokens are read. */
function createReader(draft: ModelRunner, options: { readonly signal: AbortSignal; readonly wantsHidden: boolean }) {
  let cache: KvCache | undefined
  const cached: number[] = []
  let agreed = 0 // leading tokens of the cache that were committed

  async function feed(tokens: readonly number[]): Promise<ForwardResult | undefined> {
    cache ??= draft.openCache()
    let pass: ForwardResult | undefined
    for (let start = 0; start < tokens.length; ) {
      if (options.signal.aborted) return undefined
      const end = Math.min(tokens.length, start + blockSize - (cache.length % blockSize))
      const isLast = end === tokens.length
      pass = await draft.forward({
        input: { tokens: Int32Array.from(tokens.slice(start, end)) },
        cache,
        want: { logits: isLast ? "last" : "none", hidden: isLast && options.wantsHidden ? ["final"] : [] },
      })
      pass.keep(Array.from({ length: end - start }, (_, row) => row))
      cached.push(...tokens.slice(start, end))
      start = end
    }
    return pass
  }

  return {
    /** Reads what is new: of a whole text from where the cache departs from it, or one drafted token. */
    async read(tokens: readonly number[], isDraft: boolean): Promise<ForwardResult | undefined> {
      if (isDraft) return feed(tokens)
      let same = agreed
      while (same < cached.length && same < tokens.length - 1 && cached[same] === tokens[same]) same++
      cached.length = same
      cache?.rewind(same)
      const pass = await feed(tokens.slice(same))
      agreed = cached.length
      return pass
    },
    dispose: () => cache?.dispose(),
  }
}
