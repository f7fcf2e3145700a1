/** A method's trained weights at work: how a method opens them, and what it is given to do so. */
import { ForerunError } from "../base/errors.ts"
import type { Graph } from "../graph/index.ts"
import type { ModelConfig } from "../models/config.ts"
import type { PartRecord, PartTensor } from "../models/trained-part.ts"
import type { GraphRunner } from "../runtime/graph-runner.ts"
import type { OptionValues } from "./method.ts"

/** What a method says of the trained weights that it needs. */
export interface PartNeeds {
  /** The recipe that makes them: `forerun train <recipe>`. */
  readonly recipe: string
  /** Whether they are wanted with these options; without them `Context.part` is not there. Default: always. */
  wanted?(options: OptionValues): boolean
  /** Called once for each loaded model; what it gives arrives in every run as `Context.part`. */
  open(context: PartContext): Promise<OpenedPart>
}

/** Kept with the model and disposed with it. What belongs to one run (a drafter's own cache) is the run's. */
export interface OpenedPart {
  dispose(): Promise<void>
}

export interface PartContext {
  /** The trained weights, by name. */
  readonly tensors: ReadonlyMap<string, PartTensor>
  /** forerun.json: what it was trained with, and how good it is. */
  readonly record: PartRecord
  readonly target: PartTarget
  readonly threads: number
  /** A session of the method's own graph; its passes are counted as those of a draft. */
  openGraph(graph: Graph): Promise<GraphRunner>
}

/** The target's frozen weights, as far as a part works with them. */
export interface PartTarget {
  readonly config: ModelConfig
  /** Exact values by canonical name, row-major. @throws E_MODEL_FORMAT when there is no such tensor */
  weight(name: string): Float32Array
  /** What enters the first layer: [tokens · hidden]. Positions default to 0, 1, …; few families have learned ones. */
  embed(tokens: Int32Array, positions?: Int32Array): Float32Array
  /** Rows of the head for these tokens: [tokens · hidden]. */
  headRows(tokens: ArrayLike<number>): Float32Array
}

/**
 * A tensor of a part, of this shape; -1 = any size.
 * @throws E_MODEL_FORMAT naming what was needed and what is there
 */
export function partTensor(
  { tensors }: Pick<PartContext, "tensors">,
  name: string,
  shape: readonly number[],
): PartTensor {
  const found = tensors.get(name)
  const fits =
    found?.shape.length === shape.length && shape.every((size, axis) => size === -1 || size === found.shape[axis])
  if (found && fits) return found
  const needed = shape.map((size) => (size === -1 ? "any" : size)).join(", ")
  const there = found ? `has shape [${found.shape.join(", ")}]` : "is not there"
  throw new ForerunError("E_MODEL_FORMAT", `a trained part: tensor ${name} [${needed}] is needed, it ${there}`)
}

/**
 * The tokens that drafts are limited to, by their place in the part's own logits; undefined: all of them.
 * @throws E_MODEL_FORMAT when they are no different tokens of the target
 */
export function draftVocabulary({
  tensors,
  target,
}: {
  readonly tensors: PartContext["tensors"]
  readonly target: { readonly config: Pick<ModelConfig, "vocabulary"> }
}): Int32Array | undefined {
  if (!tensors.has("vocabulary")) return undefined
  const { values } = partTensor({ tensors }, "vocabulary", [-1])
  const isToken = (id: number) => Number.isInteger(id) && id >= 0 && id < target.config.vocabulary
  if (values.every(isToken) && new Set(values).size === values.length) return Int32Array.from(values)
  throw new ForerunError("E_MODEL_FORMAT", `a trained part: its vocabulary holds what is no token, or one twice`)
}
