/** What both recipes of Medusa share: the heads' options, start values and losses, and what is saved of them. */
import { ForerunError } from "../../base/errors.ts"
import type { OptionTable } from "../../decoding/method.ts"
import { targetOf } from "../../decoding/part-target.ts"
import { add, fusedMatmul, multiply, softmax, type Value } from "../../graph/index.ts"
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import type { TensorToSave } from "../../models/trained-part.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { type AnswerSplit, readAnswers, windowOf } from "../../train/answers.ts"
import type { Features } from "../../train/features.ts"
import { crossEntropy, hits, mean, softCrossEntropy } from "../../train/losses.ts"
import type { Losses, LossInputs, Parameter, RecipeContext } from "../../train/recipe.ts"
import { vocabularyTensor } from "../../train/vocabulary.ts"
import { calibrate } from "./calibrate.ts"
import { openHeads } from "./heads.ts"
import { blockBias, blockWeight, type HeadShape, headStates, ownMatrix } from "./heads-graph.ts"

export const headOptions = {
  heads: { type: "integer", default: 3, low: 1, high: 8, description: "tokens drafted ahead" },
  blocks: { type: "integer", default: 1, low: 1, high: 4, description: "residual blocks of a head" },
  matrix: {
    type: "string",
    default: "shared",
    choices: ["shared", "own"],
    description: "shared: the target's head (V2); own: a vocabulary matrix for each head (V1)",
  },
  labels: {
    type: "string",
    default: "soft",
    choices: ["soft", "hard"],
    description: "soft: the target's law; hard: the token of the answer",
  },
  falloff: {
    type: "number",
    default: 0.8,
    low: 0,
    high: 1,
    description: "weight of a head beside the one before it",
  },
  vocabulary: { type: "integer", default: 8192, low: 1, high: 1_000_000, description: "tokens that are drafted" },
  length: { type: "integer", default: 128, low: 8, high: 2048, description: "last tokens of an answer in a window" },
} as const satisfies OptionTable

export interface HeadOptions extends HeadShape {
  readonly labels: string
  readonly falloff: number
  readonly vocabulary: number
  readonly length: number
}

/** All answers that are there, or the first of them (0 = all): they stand in an order by chance. */
export function takeAnswers({ data, target }: Pick<RecipeContext, "data" | "target">, answers = 0): AnswerSplit {
  if (data.length === 0) throw new ForerunError("E_USAGE", "give answers of the target: --data <file or folder>")
  const split = readAnswers(data, { vocabulary: target.config.vocabulary })
  const held = answers === 0 ? split.validation.length : Math.max(1, Math.round(answers / 19))
  const found = {
    training: answers === 0 ? split.training : split.training.slice(0, answers),
    validation: split.validation.slice(0, held),
  }
  if (found.training.length > 0 && found.validation.length > 0) return found
  throw new ForerunError("E_INPUT", "too few answers: some are needed to train with, and some held out")
}

export interface Sizes {
  readonly hidden: number
  /** Tokens that are drafted. */
  readonly size: number
  /** The target's rows for them, [size · hidden]. */
  readonly rows: Float32Array
}

/** Blocks begin as the identity: W and b are zeros, so SiLU adds nothing. V1's matrices begin as the target's. */
export function headParameters({ heads, blocks, matrix }: HeadShape, { hidden, size, rows }: Sizes): Parameter[] {
  const zeros = (name: string, shape: readonly number[]): Parameter => ({
    name,
    shape,
    initial: () => new Float32Array(shape.reduce((product, axis) => product * axis, 1)),
  })
  return Array.from({ length: heads }, (_, head) => [
    ...Array.from({ length: blocks }, (_, block) => [
      zeros(blockWeight(head, block), [hidden, hidden]),
      zeros(blockBias(head, block), [hidden]),
    ]).flat(),
    ...(matrix === "own"
      ? [{ name: ownMatrix(head, blocks), shape: [size, hidden], initial: () => rows.slice() } satisfies Parameter]
      : []),
  ]).flat()
}

/** Logits over the drafted tokens, of the target and of each head, from states after the last norm: [rows, size]. */
export function draftLogits({ graph, parameter }: LossInputs, shape: HeadShape, { hidden, size, rows }: Sizes) {
  const bytes = () => new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength)
  const table = graph.weight("target/rows", "float32", [size, hidden], bytes)
  const scored = (states: Value, matrix: Value) => fusedMatmul(states, matrix, { transB: true })
  return {
    target: (final: Value) => scored(final, table),
    head: (final: Value, head: number) =>
      scored(
        headStates(final, head, shape.blocks, parameter),
        shape.matrix === "own" ? parameter(ownMatrix(head, shape.blocks)) : table,
      ),
  }
}

/** What a head says at some rows, and what it should: head k (from 0) at row t speaks of token t + k + 2. */
export interface HeadRows {
  /** [rows, size] */
  readonly logits: Value
  /** Logits of the target at row t + k + 1, [rows, size]. */
  readonly teacher: Value
  /** The answer's token by its place among those drafted, int64 [rows]; `known` [rows]: 1 where it has one. */
  readonly labels: Value
  readonly known: Value
  /** [rows], 1 where the token belongs to the answer. */
  readonly weight: Value
}

/** Σ falloffᵏ · the mean cross-entropy of head k, and how often each head's best guess is right. */
export function headLosses(heads: readonly HeadRows[], options: Pick<HeadOptions, "labels" | "falloff">): Losses {
  let loss: Value | undefined
  const metrics: Record<string, Value> = {}
  for (const [head, { logits, teacher, labels, known, weight }] of heads.entries()) {
    const own =
      options.labels === "soft"
        ? mean(softCrossEntropy(logits, softmax(teacher)), weight)
        : mean(crossEntropy(logits, labels), multiply(weight, known))
    const weighted = multiply(own, own.graph.scalar("float32", options.falloff ** head))
    loss = loss ? add(loss, weighted) : weighted
    metrics[head === 0 ? "accuracy" : `accuracy${head + 1}`] = mean(multiply(hits(logits, labels), known), weight)
  }
  return { loss: loss!, metrics }
}

interface Saving {
  /** What they draft for. */
  readonly target: Pick<Checkpoint, "config" | "weights">
  readonly threads: number
  readonly shape: HeadShape
  /** Tokens that are drafted. */
  readonly chosen: Int32Array
  /** The target's states over answers, of which the first `held` were held out; without any, nothing is calibrated. */
  readonly held: number
  readonly features?: Features
}

/** Heads as a part: their weights, the tokens they draft, and how often each of their guesses came true. */
export async function savedHeads(
  values: ReadonlyMap<string, Float32Array>,
  { target, threads, shape, chosen, held, features }: Saving,
): Promise<readonly TensorToSave[]> {
  const sizes = { hidden: target.config.hidden, size: chosen.length, rows: new Float32Array(0) }
  const trained = headParameters(shape, sizes).map(({ name, shape: axes }) => ({
    name,
    shape: axes,
    values: values.get(name)!,
  }))
  const tensors: TensorToSave[] = [...trained, vocabularyTensor(chosen)]
  if (!features) return tensors
  const heads = await openHeads({
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    target: targetOf(target),
    threads,
    openGraph: (graph) => openGraph(graph, { threads }),
  })
  try {
    const answers = features.answers.slice(0, held).map((answer, i) => {
      const { start, promptRows } = windowOf(answer, features.length)
      const tokens = [...answer.prompt, ...answer.answer].slice(start)
      return { states: features.rows(i, "final"), tokens, promptRows }
    })
    return [...tensors, await calibrate(heads, answers)]
  } finally {
    await heads.dispose()
  }
}
