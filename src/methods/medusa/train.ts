/** Recipe of Medusa's heads: frozen target, its own answers, its own laws as labels (Medusa-1, §2.2.1). */
import { ForerunError } from "../../base/errors.ts"
import { targetOf } from "../../decoding/part-target.ts"
import { add, fusedMatmul, type Graph, multiply, reshape, slice, softmax, type Value } from "../../graph/index.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import type { TensorToSave } from "../../models/trained-part.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { type AnswerSplit, answerWindows, readAnswers, windowOf } from "../../train/answers.ts"
import { part as partOf } from "../../train/dataset.ts"
import { type Features, featureWindows, finalStates } from "../../train/features.ts"
import { crossEntropy, hits, mean, softCrossEntropy } from "../../train/losses.ts"
import {
  commonHyperparameters,
  type Data,
  type Losses,
  type LossInputs,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary, coverage, placesOf, vocabularyTensor } from "../../train/vocabulary.ts"
import { calibrate } from "./calibrate.ts"
import { openHeads } from "./heads.ts"
import { blockBias, blockWeight, type HeadShape, headStates, ownMatrix } from "./heads-graph.ts"

export const recipe: Recipe = {
  method: "medusa",
  summary: "Residual heads on the last state of a frozen target.",
  options: {
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
    answers: { type: "integer", default: 0, low: 0, high: 1_000_000_000, description: "answers taken; 0 = all" },
    featureSeconds: {
      type: "integer",
      default: 0,
      low: 0,
      high: 1_000_000,
      description: "time for the target's hidden states, after which what is there has to do; 0 = any",
    },
    features: { type: "string", default: "", description: "folder of hidden states that other recipes share" },
  },
  defaults: { ...commonHyperparameters, steps: 400, batch: 8, learningRate: 2e-3, decay: 0, validateEvery: 50 },
  metric: { name: "accuracy", better: "higher", expected: "first head's best guess right: 0.22 to 0.3" },
  prepare,
}

interface Options extends HeadShape {
  readonly labels: string
  readonly falloff: number
  readonly vocabulary: number
  readonly length: number
  readonly answers: number
  readonly featureSeconds: number
}

async function prepare(context: RecipeContext): Promise<Training> {
  const { target } = context
  const options = context.options as unknown as Options
  const { config } = target
  const split = takeAnswers(context, options)
  const all = [...split.validation, ...split.training] // a limit of time leaves out training answers
  const size = Math.min(options.vocabulary, config.vocabulary)
  const chosen = chooseVocabulary(split.training, { size, vocabulary: config.vocabulary })
  const share = coverage(chosen, split.validation)
  context.note(`${all.length} answers; ${size} tokens cover ${(100 * share).toFixed(1)} % of those held out`)
  const features = await finalStates(context, {
    answers: all,
    length: options.length,
    ...(options.featureSeconds === 0 ? {} : { seconds: options.featureSeconds }),
  })
  const held = split.validation.length
  const known = features.answers
  context.note(`hidden states of ${known.length} answers`)
  if (known.length <= held) throw new ForerunError("E_OPTION", "featureSeconds left no answers to train with")
  const data = labelled(
    featureWindows(features, answerWindows(known, options.length), ["final"]),
    chosen,
    config.vocabulary,
  )
  const rows = createHeadRows(config, target.weights)(chosen)
  const shape = { heads: options.heads, blocks: options.blocks, matrix: options.matrix }
  return {
    parameters: parametersOf(shape, { hidden: config.hidden, size, rows }),
    data: partOf(data, held, known.length),
    validation: partOf(data, 0, Math.min(held, mostHeld)),
    loss: (inputs) => lossOf(inputs, { options, hidden: config.hidden, rows, size }),
    finish: (values) => finish(values, { context, shape, chosen, features, held }),
  }
}

/** Answers that a validation takes at most: more would cost time and tell little. */
const mostHeld = 128

/** All that are there, or the first of them: they stand in an order by chance. */
function takeAnswers({ data, target }: RecipeContext, { answers }: Options): AnswerSplit {
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

/** Adds `places` int64 [batch, length]: each token's place in the draft vocabulary; `known`: 1 where it has one. */
function labelled(data: Data, chosen: Int32Array, vocabulary: number): Data {
  const places = placesOf(chosen, vocabulary)
  return {
    samples: data.samples,
    batch(indices, random) {
      const { tensors, tokens } = data.batch(indices, random)
      const { shape, data: ids } = tensors.tokens!
      const at = Array.from(ids as BigInt64Array, (id) => places[Number(id)]!)
      return {
        tensors: {
          final: tensors.final!,
          weight: tensors.weight!,
          places: { type: "int64", shape, data: BigInt64Array.from(at, (place) => BigInt(Math.max(0, place))) },
          known: { type: "float32", shape, data: Float32Array.from(at, (place) => (place < 0 ? 0 : 1)) },
        },
        tokens,
      }
    },
  }
}

interface Sizes {
  readonly hidden: number
  readonly size: number
  readonly rows: Float32Array
}

/** Blocks begin as the identity: W and b are zeros, so SiLU adds nothing. V1's matrices begin as the target's. */
function parametersOf({ heads, blocks, matrix }: HeadShape, { hidden, size, rows }: Sizes): Parameter[] {
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

/**
 * Head k at row t speaks of token t + k + 2 (k from 0); its law is the target's at row t + k + 1. Only rows whose token
 * belongs to the answer count, and the last row of a window, whose token nobody saw, does not.
 */
function lossOf({ graph, parameter, batch }: LossInputs, loss: { readonly options: Options } & Sizes): Losses {
  const { options, hidden, size } = loss
  const final = batch("final")
  const [samples, length] = final.shape as [number, number, number]
  const matrix = targetRows(graph, loss)
  const cut = (x: Value, from: number, to: number) => slice(x, 1, from, to)
  const flat = (x: Value, width: number) => reshape(x, [-1, width])
  const logitsOf = (states: Value, head: number) =>
    fusedMatmul(states, options.matrix === "own" ? parameter(ownMatrix(head, options.blocks)) : matrix, {
      transB: true,
    })
  const teacher = reshape(fusedMatmul(flat(final, hidden), matrix, { transB: true }), [samples, length, size])
  let total: Value | undefined
  const metrics: Record<string, Value> = {}
  for (let head = 0; head < options.heads; head++) {
    const ahead = head + 2
    const states = headStates(flat(cut(final, 0, length - ahead), hidden), head, options.blocks, parameter)
    const logits = logitsOf(states, head)
    const weight = reshape(cut(batch("weight"), ahead, length), [-1])
    const known = reshape(cut(batch("known"), ahead, length), [-1])
    const labels = reshape(cut(batch("places"), ahead, length), [-1])
    const own =
      options.labels === "soft"
        ? mean(softCrossEntropy(logits, softmax(flat(cut(teacher, ahead - 1, length - 1), size))), weight)
        : mean(crossEntropy(logits, labels), multiply(weight, known))
    const weighted = multiply(own, graph.scalar("float32", options.falloff ** head))
    total = total ? add(total, weighted) : weighted
    metrics[head === 0 ? "accuracy" : `accuracy${head + 1}`] = mean(multiply(hits(logits, labels), known), weight)
  }
  return { loss: total!, metrics }
}

const targetRows = (graph: Graph, { rows, size, hidden }: Sizes): Value =>
  graph.weight(
    "target/rows",
    "float32",
    [size, hidden],
    () => new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength),
  )

interface Finish {
  readonly context: RecipeContext
  readonly shape: HeadShape
  readonly chosen: Int32Array
  readonly features: Features
  /** Answers that are held out: the first ones. */
  readonly held: number
}

async function finish(values: ReadonlyMap<string, Float32Array>, end: Finish): Promise<readonly TensorToSave[]> {
  const { context, shape, chosen, features } = end
  const { config } = context.target
  const sizes = { hidden: config.hidden, size: chosen.length, rows: new Float32Array(0) }
  const trained = parametersOf(shape, sizes).map(({ name, shape: axes }) => ({
    name,
    shape: axes,
    values: values.get(name)!,
  }))
  const tensors: TensorToSave[] = [...trained, vocabularyTensor(chosen)]
  const { threads } = context
  const heads = await openHeads({
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    target: targetOf(context.target),
    threads,
    openGraph: (graph) => openGraph(graph, { threads }),
  })
  try {
    const held = features.answers.slice(0, end.held).map((answer, i) => {
      const { start, promptRows } = windowOf(answer, features.length)
      const tokens = [...answer.prompt, ...answer.answer].slice(start)
      return { states: features.rows(i, "final"), tokens, promptRows }
    })
    return [...tensors, await calibrate(heads, held)]
  } finally {
    await heads.dispose()
  }
}
