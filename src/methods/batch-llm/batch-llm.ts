/** Many prompts: those that begin alike are grouped over the whole job, and what a group shares is read once. */
import { ForerunError } from "../../base/errors.ts"
import type { Completion, Context, Method } from "../../decoding/method.ts"
import { prefill } from "../../decoding/prefill.ts"
import { readBehind } from "../../decoding/read-behind.ts"
import type { Step } from "../../decoding/step.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { type Plan, type PlanMode, type PlanOrder, planBatch, planModes, planOrders } from "./plan.ts"

export interface BatchRequest {
  readonly tokens: ArrayLike<number>
  /** Default: the run's limit. */
  readonly maxTokens?: number
}

export interface BatchInput {
  readonly requests: readonly BatchRequest[]
}

export interface BatchOutcome {
  /** In the order of the requests. */
  readonly completions: readonly Completion[]
  readonly plan: Pick<Plan, "logicalTokens" | "physicalTokens" | "multiLevelTokens" | "order">
  readonly prefillTokens: number
}

export const batchLlm: Method<BatchInput, BatchOutcome> = {
  name: "batch-llm",
  summary: "Many prompts: what several of them begin with is read once.",
  paper: {
    title:
      "BatchLLM: Optimizing Large Batched LLM Inference with Global Prefix Sharing and Throughput-oriented Token Batching",
    authors: "Zheng et al.",
    year: 2024,
    arxiv: "2412.03594",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache"] },
  options: {
    plan: { type: "string", default: "exact", choices: planModes, description: "how prompts are grouped by prefix" },
    order: { type: "string", default: "ratio", choices: planOrders, description: "which groups run first" },
    blockSize: { type: "integer", default: 1, low: 1, high: 65536, description: "prefixes are multiples of this" },
  },
  trained: false,
  verb: "batch",
  wraps: true,
  run,
}

async function* run(input: BatchInput, context: Context): AsyncGenerator<Step, BatchOutcome> {
  const { models, options, limits, signal } = context
  const requests = checked(input).map(({ tokens, maxTokens = limits.maxTokens }) => ({
    tokens: Int32Array.from(tokens),
    maxTokens: Math.min(maxTokens, models.target.config.context - tokens.length),
  }))
  for (const [id, { tokens, maxTokens }] of requests.entries())
    if (maxTokens < 1)
      throw new ForerunError(
        "E_CONTEXT_LENGTH",
        `request ${id} has ${tokens.length} tokens: there is no room to answer`,
      )
  const plan = planBatch(
    requests.map(({ tokens }) => tokens),
    {
      mode: options.plan as PlanMode,
      order: options.order as PlanOrder,
      blockSize: Number(options.blockSize),
      predictedDecode: requests.map(({ maxTokens }) => maxTokens),
    },
  )
  const completions: Completion[] = requests.map(() => ({ tokens: [], reason: "abort" }))
  let prefillTokens = 0
  for (const { prefix, members } of plan.groups) {
    const shared = models.target.openCache()
    try {
      yield* prefill(models.target, shared, prefix, { signal })
      prefillTokens += shared.length
      for (const { id, suffix } of members) {
        if (signal.aborted) break
        completions[id] = yield* answer({ id, ...requests[id]! }, shared, context)
        prefillTokens += suffix.length
      }
    } finally {
      shared.dispose() // with its last member
    }
  }
  const { logicalTokens, physicalTokens, multiLevelTokens, order } = plan
  return { completions, plan: { logicalTokens, physicalTokens, multiLevelTokens, order }, prefillTokens }
}

/** The input may come from another thread or a file: what is no token is refused here. */
function checked(input: BatchInput): readonly BatchRequest[] {
  const { requests } = (input ?? {}) as Partial<BatchInput>
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0
  if (Array.isArray(requests) && requests.every(({ tokens }) => tokens && Array.from(tokens).every(isId)))
    return requests
  throw new ForerunError("E_INPUT", "a batch needs { requests: [{ tokens, maxTokens? }, …] } with token ids")
}

async function* answer(
  { id, tokens, maxTokens }: { id: number; tokens: Int32Array; maxTokens: number },
  shared: KvCache,
  context: Context,
): AsyncGenerator<Step, Completion> {
  const { inner, ...rest } = context
  yield { type: "branch-started", branch: id }
  const prompt = yield* readBehind(context.models.target, shared, tokens, context.signal)
  if (!prompt) return { tokens: [], reason: "abort" }
  // Its own stream of randomness: an answer does not depend on the plan.
  const random = context.random.fork(`request ${id}`)
  const limits = { ...context.limits, maxTokens }
  const run = inner!.method.run(prompt, { ...rest, random, limits, options: inner!.options })
  try {
    for (;;) {
      const next = await run.next()
      if (next.done) {
        yield { type: "branch-ended", branch: id, reason: next.value.reason }
        return next.value
      }
      yield "branch" in next.value ? { ...next.value, branch: id } : next.value
    }
  } finally {
    await run.return({ tokens: [], reason: "abort" })
    prompt.read.cache.dispose()
  }
}
