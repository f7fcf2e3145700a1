/** What each of the paper's three ideas is worth on a job, without running it. */
import { lruPrefillTokens } from "./lru-control.ts"
import { type Plan, type PlanOptions, planBatch } from "./plan.ts"
import { simulate } from "./simulate.ts"

export interface PreviewOptions {
  readonly blockSize: number
  /** Positions that all caches together may hold. */
  readonly kvBudget: number
  /** Tokens a pass may hold. */
  readonly chunk: number
  /** The cap on sequences that memory-centric batching does without. */
  readonly cap: number
  readonly predictedDecode: readonly number[]
}

export interface Preview {
  readonly logicalTokens: number
  /** Tokens read under each way of sharing. lru: a cache of `kvBudget` positions, prompts as they came. */
  readonly prefill: Readonly<Record<"none" | "lru" | "firstLevel" | "paper" | "exact" | "anyDepth", number>>
  /** Simulated merged passes with all three ideas, and with one of them missing. */
  readonly passes: readonly PreviewedPasses[]
}

export interface PreviewedPasses {
  readonly without: "nothing" | "sharing" | "order" | "memory"
  readonly passes: number
  readonly prefillTokens: number
  /** Tokens of a pass, on average. */
  readonly tokensPerPass: number
  readonly peakKv: number
}

/** @throws ForerunError E_INPUT when a sequence does not fit the budget */
export function previewPlan(prompts: readonly Int32Array[], options: PreviewOptions): Preview {
  const { blockSize, kvBudget, chunk, cap, predictedDecode } = options
  const plan = (more: PlanOptions): Plan => planBatch(prompts, { blockSize, predictedDecode, ...more })
  const exact = plan({})
  const none = plan({ mode: "none" })
  const run = (without: PreviewedPasses["without"], { groups }: Plan, maxSequences = Number.POSITIVE_INFINITY) => {
    const { iterations, prefillTokens, tokensPerIteration, peakKv } = simulate(groups, {
      chunk,
      kvBudget,
      maxSequences,
    })
    const tokens = tokensPerIteration.reduce((total, count) => total + count, 0)
    return { without, passes: iterations, prefillTokens, tokensPerPass: tokens / Math.max(1, iterations), peakKv }
  }
  return {
    logicalTokens: exact.logicalTokens,
    prefill: {
      none: none.physicalTokens,
      lru: lruPrefillTokens(prompts, { capacity: kvBudget }),
      firstLevel: plan({ mode: "first-level" }).physicalTokens,
      paper: plan({ mode: "paper" }).physicalTokens,
      exact: exact.physicalTokens,
      anyDepth: exact.multiLevelTokens,
    },
    passes: [
      run("nothing", exact),
      run("sharing", none),
      run("order", plan({ order: "arrival" })),
      run("memory", exact, cap),
    ],
  }
}
