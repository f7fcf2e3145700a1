/** What crosses the boundary between the caller's thread and the engine's: plain data, one call or event a message. */
import { asForerunError, type ErrorCode, ForerunError } from "../base/errors.ts"
import type { StreamEvent } from "../decoding/step.ts"
import type { Mask } from "../runtime/mask.ts"
import type { Matrix, PassInput, TopLogits, Want } from "../runtime/pass.ts"
import type { GenerateOptions, LoadModelOptions, LoadProgress, PromptInput, RunOptions } from "./types.ts"

/** A pass as data: the cache is named by its number in the engine. */
export interface RemotePass {
  readonly input: PassInput
  readonly positions?: Int32Array
  readonly mask?: Mask
  readonly cache?: number
  readonly layers?: readonly [number, number]
  readonly want?: Want
}

export interface RemoteResult {
  readonly handle: number
  readonly logits?: Matrix
  readonly top?: TopLogits
  readonly hidden: ReadonlyMap<number | "final", Matrix>
}

export type Call =
  | {
      readonly name: "load"
      readonly path: string
      readonly options: Pick<
        LoadModelOptions,
        "weights" | "draft" | "draftWeights" | "threads" | "device" | "cacheBytes" | "prefixBytes"
      >
    }
  | {
      readonly name: "generate"
      readonly prompt: PromptInput
      readonly options: GenerateOptions
      readonly past?: number
      readonly events: boolean
    }
  | { readonly name: "run"; readonly method: string; readonly input: unknown; readonly options: RunOptions }
  | { readonly name: "forward"; readonly pass: RemotePass }
  | { readonly name: "keep"; readonly handle: number; readonly rows: readonly number[] }
  | { readonly name: "dropPass"; readonly handle: number }
  | { readonly name: "openCache" }
  | { readonly name: "forkCache"; readonly cache: number }
  | { readonly name: "rewindCache"; readonly cache: number; readonly length: number }
  | { readonly name: "disposeCache"; readonly cache: number }
  | { readonly name: "score"; readonly tokens: Int32Array; readonly top?: number }
  | { readonly name: "tokenize"; readonly text: string; readonly special: boolean; readonly bos: boolean }
  | { readonly name: "detokenize"; readonly tokens: Int32Array }
  | {
      readonly name: "encodePrompt"
      readonly prompt: PromptInput
      readonly options: Pick<GenerateOptions, "raw" | "system" | "tools">
    }
  | { readonly name: "vocabulary" }
  | { readonly name: "costCurve"; readonly fresh: boolean }
  | { readonly name: "ledger" }
  | { readonly name: "memory" }
  | { readonly name: "dispose" }

/** `aborted`: the caller's signal was so before the call; a message of its own could arrive after the first pass. */
export type ToEngine =
  | { readonly id: number; readonly call: Call; readonly aborted: boolean }
  | { readonly id: number; readonly abort: true }

export type FromEngine =
  | { readonly id: number; readonly event: StreamEvent }
  | { readonly id: number; readonly progress: LoadProgress }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { code: ErrorCode; message: string; hint?: string; stack?: string } }

export function packError(thrown: unknown) {
  const error = asForerunError(thrown)
  return { ...error.toJSON(), ...(error.stack === undefined ? {} : { stack: error.stack }) }
}

export function unpackError(error: ReturnType<typeof packError>): ForerunError {
  const thrown = new ForerunError(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint })
  if (error.stack !== undefined) thrown.stack = error.stack
  return thrown
}
