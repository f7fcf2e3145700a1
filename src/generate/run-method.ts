/** Runs a method that takes something else than a prompt, or gives something else than a continuation. */
import { ForerunError } from "../base/errors.ts"
import type { Context, Method } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import { createSampler } from "../decoding/sampler.ts"
import { validateSampling } from "../decoding/sampling-options.ts"
import type { Step } from "../decoding/step.ts"
import { loadContinuation, loadMethod } from "../methods/index.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import { createRandom } from "../tensor/random.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import { checkNeeds } from "./check-needs.ts"
import type { TrainedParts } from "./trained-parts.ts"
import type { RunOptions } from "./types.ts"

/** The engine, as far as a run needs it. */
export interface RunHost {
  readonly runner: ModelRunner
  readonly draft?: ModelRunner | undefined
  readonly tokenizer: Tokenizer
  /** Trained weights of the methods that have some. */
  readonly parts?: Pick<TrainedParts, "of">
  /** What rows and drafts cost on it. */
  costs(): Promise<Pick<Context, "cost" | "draftCost" | "headCost">>
}

/**
 * @param input plain data, as the method takes it; the method checks it
 * @throws ForerunError E_METHOD_NOT_FOUND, E_OPTION, and what the method throws
 */
export async function* runMethod(
  host: RunHost,
  name: string,
  input: unknown,
  given: RunOptions & { readonly signal: AbortSignal },
): AsyncGenerator<Step, unknown> {
  const { runner, draft, tokenizer } = host
  const method = (await loadMethod(name)) as Method<unknown, unknown>
  const { config } = runner
  const sampling = validateSampling(given, config.vocabulary)
  const maxTokens = given.maxTokens ?? 256
  if (!Number.isInteger(maxTokens) || maxTokens < 1)
    throw new ForerunError("E_OPTION", `maxTokens must be an integer of at least 1; found ${String(maxTokens)}`)
  const models = { target: runner, ...(draft ? { draft } : {}) }
  const inner = await innerOf(method, given)
  for (const one of inner ? [method, inner.method] : [method]) checkNeeds(one, models)
  // A method that runs another leaves the weights to it.
  const trained = await host.parts?.of(inner?.method ?? method)
  const context: Context = {
    models,
    options: resolveOptions(method, given.options),
    tokenizer,
    sampler: createSampler(sampling),
    random: createRandom(sampling.seed ?? Math.floor(Math.random() * 2 ** 32)).fork("sample"),
    limits: { maxTokens, stopIds: new Set([...tokenizer.eosTokens, ...config.eosTokens]) },
    ...(await host.costs()),
    ...(trained ? { part: trained.part } : {}),
    signal: given.signal,
    ...(inner === undefined ? {} : { inner }),
  }
  return yield* method.run(input, context)
}

async function innerOf(method: Method<unknown, unknown>, { inner }: RunOptions): Promise<Context["inner"]> {
  if (!method.wraps) {
    if (inner === undefined) return undefined
    throw new ForerunError("E_OPTION", `${method.name} runs no other method, found ${inner.method}`)
  }
  const wrapped = await loadContinuation(inner?.method ?? "autoregressive")
  return { method: wrapped, options: resolveOptions(wrapped, inner?.options) }
}
