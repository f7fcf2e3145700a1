/** What callers pass in and get back. */
import type { ForerunError } from "../base/errors.ts"
import type { TokenLogprob } from "../decoding/logprobs.ts"
import type { SamplingOptions } from "../decoding/sampling-options.ts"
import type { SpeculationReport } from "../decoding/speculation-report.ts"
import type { ModelConfig } from "../models/config.ts"
import type { WeightFormat } from "../models/formats.ts"
import type { Device, ModelDevice, Placement } from "../runtime/devices.ts"
import type { ChatMessage } from "../text/chat-template.ts"
import type { Grammar } from "./grammar/grammar.ts"
import type { TimelineSpan } from "./phases.ts"

export interface LoadModelOptions {
  /** Default: the best for this machine, see `defaultWeights`. */
  readonly weights?: WeightFormat
  /** A model with the same vocabulary that drafts for methods which need one: path or name, as for the model itself. */
  readonly draft?: string
  /** Default: `weights` if given, else the best for this machine. */
  readonly draftWeights?: WeightFormat
  /** Trained weights of methods: the folder of one, or a folder with one for each recipe. Default: those that come along. */
  readonly part?: string
  /** Changes of the model's weights (forerun train implant): the folder that holds them. */
  readonly adapter?: string
  /** Threads of the backend; default: the machine's cores, at most 8. */
  readonly threads?: number
  /** Where to run: one device for all, or by role; `process` drafts on a CPU engine in a process of its own. */
  readonly device?: ModelDevice | Partial<Placement>
  /** Memory for the caches of answers under way: what would exceed it waits its turn. Default a quarter of the machine's. */
  readonly cacheBytes?: number
  /** Memory in which beginnings of prompts are kept, for later prompts that begin alike; default 0. */
  readonly prefixBytes?: number
  /** The engine runs in a process of its own instead of a thread, and is started again when it is lost. */
  readonly ownProcess?: boolean
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: LoadProgress) => void
}

export interface LoadProgress {
  readonly stage: "finding" | "downloading" | "hashing" | "converting" | "loading"
  readonly received?: number
  readonly total?: number
  readonly file?: string
}

export type PromptInput = string | readonly ChatMessage[] | { readonly tokens: ArrayLike<number> }

export interface GenerateOptions extends SamplingOptions {
  /** Default autoregressive. */
  readonly method?: string
  /** The method's own options. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Answers to the prompt, 1 to 128, each with a random stream of its own; default 1. */
  readonly n?: number
  /** Default 256. */
  readonly maxTokens?: number
  /** Texts that end the answer; they do not appear in it. */
  readonly stop?: readonly string[]
  /** Alternatives to report with each token's log-probability, 0 to 20; undefined: no log-probabilities. */
  readonly logprobs?: number
  /** The text that is expected as the answer, for methods that draft from one; others refuse it. */
  readonly prediction?: string
  /** What the answer must look like; the mask holds under every method. */
  readonly grammar?: Grammar
  /** Tools that the chat template is to describe, as OpenAI writes them. */
  readonly tools?: readonly unknown[]
  /** Do not apply the chat template to a string prompt. */
  readonly raw?: boolean
  /** System message in front of a string prompt. */
  readonly system?: string
  /** With `prefixBytes`: beginnings of prompts are shared among those with the same salt, and with nobody else. */
  readonly prefixSalt?: string
  /** Tell when each pass ran. */
  readonly timeline?: boolean
  readonly signal?: AbortSignal
}

/** What a run of any method takes beside its input. */
export interface RunOptions extends SamplingOptions {
  /** The method's own options. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Default 256. */
  readonly maxTokens?: number
  /** The method that a wrapping one is to run; default autoregressive. */
  readonly inner?: { readonly method: string; readonly options?: Readonly<Record<string, unknown>> }
  readonly signal?: AbortSignal
}

export interface TokenReport {
  readonly id: number
  readonly text: string
  /** A token may be a part of a character, which `text` cannot show. */
  readonly bytes: readonly number[]
  readonly logprob: number
  readonly top: readonly (TokenLogprob & Pick<TokenReport, "text" | "bytes">)[]
}

export interface GenerateResult {
  readonly text: string
  readonly tokens: number[]
  readonly promptTokens: number
  /** Tokens of the prompt that had been read before: in `past`, or for prompts that began alike. */
  readonly cachedTokens: number
  readonly finishReason: "stop" | "length" | "abort"
  /** The text that ended the answer, if one did. */
  readonly stopString?: string
  readonly method: string
  readonly lossless: boolean
  readonly seed: number
  /** Of methods that draft and verify. */
  readonly speculation?: SpeculationReport
  readonly passes: { readonly target: number; readonly draft: number }
  readonly timings: {
    readonly loadMs: number
    readonly prefillMs: number
    readonly decodeMs: number
    readonly firstTokenMs: number
    readonly tokensPerSecond: number
    /** Of methods that draft and verify: passes of a draft model or of trained weights. Answers beside it may add to it. */
    readonly draftMs?: number
    /** What these were fed and gave, on the way to another process and back. */
    readonly transferMs?: number
    /** Passes of the target behind the first token: verifications, and drafts of methods that draft with its layers. */
    readonly targetMs?: number
  }
  readonly logprobs?: readonly TokenReport[]
  /** Every pass, where it was asked for. */
  readonly timeline?: readonly TimelineSpan[]
  /** All answers, when more than one was asked for; the first of them is this result itself. */
  readonly choices?: readonly GenerateResult[]
}

export interface ModelInfo {
  readonly path: string
  readonly kind: "gguf" | "safetensors"
  readonly architecture: string
  readonly config: ModelConfig
  readonly weights: WeightFormat
  readonly threads: number
  readonly device: ModelDevice
  /** Where what drafts runs. */
  readonly draftDevice: Device
  readonly chatTemplate: boolean
  readonly name?: string
  readonly license?: string
  /** The changes that the weights were given: recipe, and sha256 of the part. Without them it answers otherwise. */
  readonly adapter?: { readonly path: string; readonly method: string; readonly sha256: string }
  readonly loadMs: number
  readonly draft?: Pick<ModelInfo, "path" | "architecture" | "config" | "weights" | "name">
}

export interface Score {
  readonly tokens: number
  /** Natural log-likelihood of each token given all before it; the first token has none. */
  readonly logprobs: number[]
  readonly meanNll: number
  readonly perplexity: number
  /** The likeliest tokens at each place, where they were asked for. */
  readonly top?: readonly (readonly TokenLogprob[])[]
}

export type { ForerunError, SpeculationReport, TimelineSpan }
