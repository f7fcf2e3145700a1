/** The trained maps at work: states of real rows become those of pseudo rows, and final states become guesses. */
import { ForerunError } from "../../base/errors.ts"
import { draftVocabulary, type OpenedPart, type PartContext, partTensor } from "../../decoding/method-part.ts"
import { add, fusedMatmul, Graph, reshape, softcap, softmax, topK, transpose, type Value } from "../../graph/index.ts"
import { type TransferStop, transferStops } from "./pseudo-rows.ts"

/** What a token some places ahead may be, the likeliest first. */
export interface Guesses {
  readonly tokens: Int32Array
  readonly chances: readonly number[]
}

export interface TransferPart extends OpenedPart {
  readonly stops: readonly TransferStop[]
  /** Steps in all. */
  readonly steps: number
  /** States [rows · hidden] after the layer of a stop → [count, rows · hidden]: pseudo rows of the steps that begin there. */
  pseudoRows(stop: TransferStop, states: Float32Array): Promise<Float32Array>
  /** States [rows · hidden] after the final norm → for each row the likeliest tokens. */
  guesses(final: Float32Array): Promise<Guesses[]>
}

/** Tokens told of each guess: a tree of 127 nodes has no use for more. */
const most = 32

/**
 * Tensors: weight [steps, hidden, hidden] and bias [steps, hidden], layers [steps], vocabulary [tokens that are drafted] or none.
 * @throws E_MODEL_FORMAT
 */
export async function openTransferPart(context: PartContext): Promise<TransferPart> {
  const { hidden, layers: depth } = context.target.config
  const layers = [...partTensor(context, "layers", [-1]).values]
  checkLayers(layers, depth)
  const steps = layers.length
  const { values: weight } = partTensor(context, "weight", [steps, hidden, hidden])
  const { values: bias } = partTensor(context, "bias", [steps, hidden])
  const all = context.target.config.vocabulary
  const vocabulary = draftVocabulary(context) ?? Int32Array.from({ length: all }, (_, id) => id)
  const stops = transferStops(layers, depth)
  const maps = await Promise.all(
    stops.map(({ before, count }) => {
      const part = (values: Float32Array, size: number) => values.subarray(before * size, (before + count) * size)
      return context.openGraph(mapGraph(part(weight, hidden * hidden), part(bias, hidden), hidden))
    }),
  )
  const head = await context.openGraph(headGraph(context, vocabulary))
  const width = Math.min(most, vocabulary.length)

  return {
    stops,
    steps,
    async pseudoRows(stop, states) {
      const rows = states.length / hidden
      const feeds = { x: { type: "float32", shape: [rows, hidden], data: states } } as const
      const found = await maps[stops.indexOf(stop)]!.run(feeds, ["pseudo"], rows * stop.count)
      return found.pseudo!.data as Float32Array
    },
    async guesses(final) {
      const rows = final.length / hidden
      const feeds = { x: { type: "float32", shape: [rows, hidden], data: final } } as const
      const found = await head.run(feeds, ["chances", "indices"], rows)
      const chances = found.chances!.data as Float32Array
      const tokens = Int32Array.from(found.indices!.data as BigInt64Array, (index) => vocabulary[Number(index)]!)
      return Array.from({ length: rows }, (_, row) => ({
        tokens: tokens.subarray(row * width, (row + 1) * width),
        chances: [...chances.subarray(row * width, (row + 1) * width)],
      }))
    },
    async dispose() {
      await Promise.all([...maps, head].map((runner) => runner.dispose()))
    },
  }
}

function checkLayers(layers: readonly number[], depth: number): void {
  const fits = layers.length > 0 && layers.every((layer, i) => layer >= (layers[i - 1] ?? 1) && layer < depth)
  if (!fits || !layers.every(Number.isInteger))
    throw new ForerunError(
      "E_MODEL_FORMAT",
      `transfer after layers ${layers.join(", ")}: needs ascending ones, at least 1 and below the target's ${depth}`,
    )
}

const float = (graph: Graph, name: string, shape: readonly number[], values: Float32Array): Value =>
  graph.weight(name, "float32", shape, () => new Uint8Array(values.buffer, values.byteOffset, values.byteLength))

/** x [rows, hidden] → pseudo [count, rows, hidden] */
function mapGraph(weight: Float32Array, bias: Float32Array, hidden: number): Graph {
  const graph = new Graph()
  const count = bias.length / hidden
  const x = graph.input("x", "float32", ["rows", hidden])
  const product = fusedMatmul(x, float(graph, "weight", [count * hidden, hidden], weight), { transB: true })
  const states = add(product, float(graph, "bias", [count * hidden], bias))
  graph.output("pseudo", transpose(reshape(states, ["rows", count, hidden]), [1, 0, 2]))
  return graph
}

/** x [rows, hidden], normalised → chances and indices [rows, width] of the drafted vocabulary */
function headGraph({ target }: PartContext, vocabulary: Int32Array): Graph {
  const graph = new Graph()
  const { hidden, logitSoftcap } = target.config
  const x = graph.input("x", "float32", ["rows", hidden])
  const head = float(graph, "head", [vocabulary.length, hidden], target.headRows(vocabulary))
  const product = fusedMatmul(x, head, { transB: true })
  const logits = logitSoftcap === undefined ? product : softcap(product, logitSoftcap)
  const width = Math.min(most, vocabulary.length)
  const { values, indices } = topK(softmax(logits), graph.constant("int64", [1], [width]), width)
  graph.output("chances", values)
  graph.output("indices", indices)
  return graph
}
