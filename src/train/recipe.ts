/** A recipe: what a method trains, on what, towards which loss, and what to expect of it. */
import type { OptionTable, OptionValues } from "../decoding/method.ts"
import type { Graph, Value } from "../graph/index.ts"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import type { PartRecord, TensorToSave } from "../models/trained-part.ts"
import type { HostTensor, HostType } from "../runtime/session.ts"
import type { Random } from "../tensor/random.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

interface RecipeFacts {
  /** The method's name: folder, registry key, command-line name. */
  readonly method: string
  readonly summary: string
  /** What only this recipe knows of (heads, layers, …); flags are made from it. */
  readonly options: OptionTable
  readonly defaults: Hyperparameters
  /** `name` is "loss" or one of the loss graph's metrics; taken on the validation data where there are any. */
  readonly metric: { readonly name: string; readonly better: "lower" | "higher"; readonly expected: string }
}

/** Trains weights that serve a given target. */
export interface PartRecipe extends RecipeFacts {
  readonly makes?: "part"
  prepare(context: RecipeContext): Promise<Training>
}

/** Trains a whole model, from random weights; there is no target. */
export interface ModelRecipe extends RecipeFacts {
  readonly makes: "model"
  prepare(context: ModelContext): Promise<ModelTraining>
}

export type Recipe = PartRecipe | ModelRecipe

/** What every recipe is given. */
export interface ModelContext {
  readonly options: OptionValues
  /** Files or folders of training text, as given; empty = the recipe's own choice. */
  readonly data: readonly string[]
  /** Where the recipe may keep what takes long to make (answers of the target, features), from run to run. */
  readonly folder: string
  readonly random: Random
  readonly threads: number
  readonly signal: AbortSignal
  /** Tells what takes time. */
  note(text: string): void
}

export interface RecipeContext extends ModelContext {
  readonly target: Checkpoint
  readonly tokenizer: Tokenizer
}

export interface Hyperparameters {
  readonly steps: number
  /** Samples in a pass; a step takes `accumulate` passes. */
  readonly batch: number
  readonly accumulate: number
  readonly learningRate: number
  readonly schedule: "cosine" | "constant"
  /** Steps over which the rate rises to its full height. */
  readonly warmUp: number
  /** What is left of the rate at the end of a cosine. */
  readonly finalRate: number
  /** Decoupled weight decay, of matrices only unless a parameter says otherwise. */
  readonly decay: number
  /** Longest gradient, by its global norm; 0 = any length. */
  readonly clip: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Steps between validations. */
  readonly validateEvery: number
  /** Validations without a better metric after which training ends; 0 = never. */
  readonly patience: number
}

export const commonHyperparameters = {
  accumulate: 1,
  schedule: "cosine",
  warmUp: 20,
  finalRate: 0.1,
  decay: 0.01,
  clip: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  validateEvery: 100,
  patience: 0,
} as const satisfies Partial<Hyperparameters>

/** A weight that is trained. What is frozen is an initialiser of the loss graph and has no state. */
export interface Parameter {
  readonly name: string
  readonly shape: readonly number[]
  /** Start values, row-major; `random` is the parameter's own stream. */
  initial(random: Random): Float32Array
  /** Whether weight decay pulls at it; default: it has at least two axes. */
  readonly decay?: boolean
  /** Its learning rate beside the others'; default 1. */
  readonly rate?: number
}

export interface BatchTensor {
  readonly type: HostType
  readonly shape: readonly number[]
  readonly data: HostTensor["data"]
}

export interface Batch {
  readonly tensors: Readonly<Record<string, BatchTensor>>
  /** Tokens that the loss is taken over, for reports of speed. */
  readonly tokens: number
}

export interface Data {
  readonly samples: number
  /**
   * Batches of the same shapes share a graph. `random` belongs to this batch alone (dropout, noise). `progress` is the
   * share of the training that is done, in [0, 1), for what changes on the way; undefined outside of its steps.
   */
  batch(indices: readonly number[], random: Random, progress?: number): Batch
}

export interface LossInputs {
  readonly graph: Graph
  parameter(name: string): Value
  batch(name: string): Value
}

export interface Losses {
  /** One number, float32. */
  readonly loss: Value
  /** Numbers to report, float32. */
  readonly metrics?: Readonly<Record<string, Value>>
}

export interface Training {
  readonly parameters: readonly Parameter[]
  readonly data: Data
  readonly validation?: Data
  /** Called once for each batch shape and once more for validation. */
  loss(inputs: LossInputs): Losses
  /** The tensors to save; default: the parameters in half precision. */
  finish?(values: ReadonlyMap<string, Float32Array>): readonly TensorToSave[] | Promise<readonly TensorToSave[]>
  /** Called when they are written, for what depends on them: a part for the target that they change. */
  written?(values: ReadonlyMap<string, Float32Array>, part: WrittenPart): Promise<void>
}

export interface WrittenPart {
  readonly folder: string
  readonly record: Omit<PartRecord, "weights">
}

export interface ModelTraining extends Training {
  /** By file name: config.json and tokenizer.json, which make the folder a model, and what else comes with it. */
  readonly files: Readonly<Record<string, string>>
}
