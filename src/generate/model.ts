/** A loaded model, as callers hold it: every call runs in the engine's thread, so the caller's event loop stays free. */
import type { Step, StreamEvent } from "../decoding/step.ts"
import type { CostCurve } from "../runtime/cost-curve.ts"
import type { LedgerTotals } from "../runtime/ledger.ts"
import type { Mask } from "../runtime/mask.ts"
import type { Matrix, PassInput, TopLogits, Want } from "../runtime/pass.ts"
import { type EngineCaller, streamCall } from "./engine-client.ts"
import type { RemotePass, RemoteResult } from "./protocol.ts"
import type { GenerateOptions, GenerateResult, ModelInfo, PromptInput, RunOptions, Score } from "./types.ts"
import type { Vocabulary } from "./vocabulary.ts"

/** A cache in the engine. Dispose it when done: it holds the keys and values of its whole past. */
export interface ModelCache {
  /** Positions held, as of the last call that changed it. */
  readonly length: number
  fork(): Promise<ModelCache>
  rewind(length: number): Promise<void>
  dispose(): Promise<void>
}

export interface EngineState {
  readonly isReady: boolean
  readonly pid?: number
  readonly restarts: number
}

export interface PastOption {
  /** Holds the first tokens of the prompt, read before: only the rest is read. It is not written. */
  readonly past?: ModelCache
}

export interface ModelPass {
  readonly input: PassInput
  readonly positions?: Int32Array
  readonly mask?: Mask
  readonly cache?: ModelCache
  readonly layers?: readonly [from: number, to: number]
  readonly want?: Want
}

export interface ModelPassResult {
  readonly logits?: Matrix
  readonly top?: TopLogits
  readonly hidden: ReadonlyMap<number | "final", Matrix>
  /** Writes these rows of the pass into its cache, once. */
  keep(rows: readonly number[]): Promise<void>
}

export interface Model {
  readonly info: ModelInfo
  /** Of the engine: whether it takes calls now, its process if it has one of its own, how often it was started again. */
  engine(): EngineState
  /** One answer. Aborting resolves with what there is, `finishReason: "abort"`. */
  generate(prompt: PromptInput, options?: GenerateOptions & PastOption): Promise<GenerateResult>
  /** The steps of one answer as they happen, and text as it becomes certain; returns the result. */
  stream(prompt: PromptInput, options?: GenerateOptions & PastOption): AsyncGenerator<StreamEvent, GenerateResult>
  /** Any method on input of its own, by name: its steps as they happen; returns its outcome. Input and outcome are plain data. */
  run<Outcome = unknown>(method: string, input: unknown, options?: RunOptions): AsyncGenerator<Step, Outcome>
  forward(pass: ModelPass): Promise<ModelPassResult>
  openCache(): Promise<ModelCache>
  /** @param options `top`: likeliest alternatives to report with each token, 0 to 20 */
  score(tokens: ArrayLike<number>, options?: { signal?: AbortSignal; top?: number }): Promise<Score>
  tokenize(text: string, options?: { special?: boolean; bos?: boolean }): Promise<Int32Array>
  detokenize(tokens: ArrayLike<number>): Promise<string>
  /** The prompt as tokens, chat template applied. */
  encodePrompt(prompt: PromptInput, options?: Pick<GenerateOptions, "raw" | "system" | "tools">): Promise<Int32Array>
  /** What each token stands for, and which tokens are special. */
  vocabulary(): Promise<Vocabulary>
  /** What a pass of n rows costs; from the cache unless `fresh`, which measures and replaces it. */
  costCurve(options?: { fresh?: boolean; signal?: AbortSignal }): Promise<CostCurve>
  ledger(): Promise<LedgerTotals>
  /** Memory of the process, as the engine sees it. */
  memory(): Promise<NodeJS.MemoryUsage>
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

class RemoteCache implements ModelCache {
  length: number
  readonly id: number
  readonly #client: EngineCaller

  constructor(client: EngineCaller, { cache, length }: { cache: number; length: number }) {
    this.#client = client
    this.id = cache
    this.length = length
  }

  async fork(): Promise<ModelCache> {
    return new RemoteCache(this.#client, await this.#client.call({ name: "forkCache", cache: this.id }))
  }

  async rewind(length: number): Promise<void> {
    await this.#client.call({ name: "rewindCache", cache: this.id, length })
    this.length = length
  }

  dispose(): Promise<void> {
    return this.#client.call({ name: "disposeCache", cache: this.id })
  }
}

export function createModel(client: EngineCaller, info: ModelInfo, engine: () => EngineState): Model {
  let disposed: Promise<void> | undefined
  let vocabulary: Promise<Vocabulary> | undefined
  // The engine keeps a pass's new rows until they are kept; a result nobody holds any more lets go of them.
  const forgotten = new FinalizationRegistry<number>((handle) => {
    client.call({ name: "dropPass", handle }).catch(() => {})
  })
  const model: Model = {
    info,
    engine,
    generate(prompt, { signal, past, ...options } = {}) {
      return client.call<GenerateResult>(
        { name: "generate", prompt, options, ...numbered(past), events: false },
        { signal },
      )
    },
    stream(prompt, { signal, past, ...options } = {}) {
      return streamCall<StreamEvent, GenerateResult>(
        client,
        { name: "generate", prompt, options, ...numbered(past), events: true },
        { signal },
      )
    },
    run<Outcome>(method: string, input: unknown, { signal, ...plain }: RunOptions = {}) {
      return streamCall<Step, Outcome>(client, { name: "run", method, input, options: plain }, { signal })
    },
    async forward(pass) {
      const { cache, ...rest } = pass
      const remote = cache as RemoteCache | undefined
      const call: RemotePass = remote === undefined ? rest : { ...rest, cache: remote.id }
      const { handle, ...result } = await client.call<RemoteResult>({ name: "forward", pass: call })
      const held: ModelPassResult = {
        ...result,
        async keep(rows) {
          await client.call({ name: "keep", handle, rows })
          if (remote) remote.length += rows.length
        },
      }
      if (remote) forgotten.register(held, handle)
      return held
    },
    openCache: async () => new RemoteCache(client, await client.call({ name: "openCache" })),
    score: (tokens, { signal, top } = {}) =>
      client.call<Score>(
        { name: "score", tokens: Int32Array.from(tokens), ...(top === undefined ? {} : { top }) },
        { signal },
      ),
    tokenize: (text, { special = false, bos = false } = {}) => client.call({ name: "tokenize", text, special, bos }),
    detokenize: (tokens) => client.call({ name: "detokenize", tokens: Int32Array.from(tokens) }),
    encodePrompt: (prompt, options = {}) => client.call({ name: "encodePrompt", prompt, options }),
    vocabulary: () => (vocabulary ??= client.call<Vocabulary>({ name: "vocabulary" })),
    costCurve: ({ fresh = false, signal } = {}) => client.call({ name: "costCurve", fresh }, { signal }),
    ledger: () => client.call({ name: "ledger" }),
    memory: () => client.call({ name: "memory" }),
    dispose: () => (disposed ??= client.call<void>({ name: "dispose" })),
    [Symbol.asyncDispose]: () => model.dispose(),
  }
  return model
}

const numbered = (past: ModelCache | undefined) => (past ? { past: (past as RemoteCache).id } : {})
