/** A decoding method: what it is, what it needs, and its loop. The only seam between methods and everything else. */
import type { WeightFormat } from "../models/formats.ts"
import type { RowCost } from "../runtime/cost-estimate.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { Ability, ModelRunner } from "../runtime/pass.ts"
import type { Random } from "../tensor/random.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { OpenedPart, PartNeeds } from "./method-part.ts"
import type { Sampler } from "./sampler.ts"
import type { Step, Token } from "./step.ts"

export interface Paper {
  readonly title: string
  readonly authors: string
  readonly year: number
  readonly arxiv?: string
  readonly venue?: string
}

/**
 * lossless: the tokens and logits of plain decoding bit for bit when greedy, its law when sampling; approximate: says
 * what it costs; report: produces a report rather than a continuation.
 */
export type Promised = "lossless" | "approximate" | "report"

export type Role = "target" | "draft"
export type Needs = Partial<Record<Role, readonly Ability[]>>

/** One option of a method: command-line flags, HTTP schema and web form are made from these. */
export interface OptionSpec {
  readonly type: "integer" | "number" | "boolean" | "string"
  readonly default: number | boolean | string
  readonly description: string
  readonly low?: number
  readonly high?: number
  readonly choices?: readonly string[]
}
export type OptionTable = Readonly<Record<string, OptionSpec>>
export type OptionValues = Readonly<Record<string, number | boolean | string>>

export interface Prompt {
  readonly tokens: Int32Array
  /** What is left of the work of reading it, when someone has read it before: forked and never written. */
  readonly read?: {
    readonly cache: KvCache
    /** Logits after the last token [vocabulary]. */
    readonly logits: Float32Array
  }
}

export interface Limits {
  readonly maxTokens: number
  readonly stopIds: ReadonlySet<number>
}

export interface Completion {
  /** Committed tokens, the stop token included if one ended the run. */
  readonly tokens: readonly Token[]
  readonly reason: "stop" | "length" | "abort"
}

export interface Context {
  readonly models: Readonly<Partial<Record<Role, ModelRunner>>> & { readonly target: ModelRunner }
  readonly options: OptionValues
  readonly tokenizer: Tokenizer
  /** Bias, penalties, temperature and the rest: applied to draft, verify and bonus rows alike. */
  readonly sampler: Sampler
  /** The only randomness a method may use. */
  readonly random: Random
  readonly limits: Limits
  /**
   * What a pass of the target of so many rows costs, in passes of one row: an estimate, the same throughout a run, so
   * that a run with the same seed and cost has the same steps.
   */
  readonly cost: RowCost
  /** What leaving a pass costs, final norm and head, in layers: where passes of several depths were timed. */
  readonly headCost?: number
  /** A draft model's pass of one row, in passes of the target: where both were timed. */
  readonly draftCost?: number
  /** A pass of the trained weights' own graphs, in the same: where both were timed. */
  readonly partCost?: number
  /** How many alternatives to report with each token's log-probability; undefined = none are wanted. */
  readonly logprobs?: number
  /** The tokens of the text that the caller expects, for a method that declares `prediction`. */
  readonly prediction?: readonly number[]
  /** The trained weights at work, for a method that declares `part`: what its `open` gave. */
  readonly part?: OpenedPart
  readonly signal: AbortSignal
  /** The method it was given, for one that runs another (`wraps`). */
  readonly inner?: { readonly method: Method; readonly options: OptionValues }
}

/** Takes a prompt and gives a continuation, unless it names a verb of its own. */
export interface Method<Input = Prompt, Outcome = Completion> {
  /** Folder, registry key, command-line name and import path. */
  readonly name: string
  readonly summary: string
  readonly paper: Paper
  promise(options: OptionValues): Promised
  readonly needs: Needs
  /** Whether it drafts from the text that the caller expects. Default: it is not given one. */
  readonly prediction?: "needed" | "used"
  /** The format in which the target's own checkpoint is opened to be the draft model. Default: what the caller loads. */
  ownDraft?(options: OptionValues): WeightFormat
  readonly options: OptionTable
  /** Whether its weights come from one of our recipes. */
  readonly trained: boolean
  /** The trained weights it runs with. Default: none. */
  readonly part?: PartNeeds
  /** The command that runs it, for one whose input is not a prompt or whose outcome is no continuation. */
  readonly verb?: string
  /** Runs another method, which the context then holds. */
  readonly wraps?: boolean
  run(input: Input, context: Context): AsyncGenerator<Step, Outcome>
}

/** A method of which only the description is needed. */
export type AnyMethod = Method<never, unknown>
