/** A small transformer with learned positions as a graph of any float type, and its recipe as a language model of characters. */
import { readFileSync } from "node:fs"
import {
  add,
  fusedMatmul,
  type Graph,
  gather,
  multiply,
  reshape,
  rmsNorm,
  silu,
  softmax,
  split,
  transpose,
  type Value,
} from "../../src/graph/index.ts"
import type { Random } from "../../src/tensor/random.ts"
import { tokenWindows } from "../../src/train/dataset.ts"
import { crossEntropy, hits, mean } from "../../src/train/losses.ts"
import { commonHyperparameters, type Hyperparameters, type Parameter, type Training } from "../../src/train/recipe.ts"

export interface TinySizes {
  readonly vocabulary: number
  readonly width: number
  readonly heads: number
  readonly layers: number
  readonly length: number
}

/** Sum of three uniform numbers: bell-shaped, of standard deviation `scale` / 2. */
const bell = (random: Random, count: number, scale: number, centre = 0): Float32Array =>
  Float32Array.from({ length: count }, () => centre + (random.next() + random.next() + random.next() - 1.5) * scale)

export function tinyParameters({ vocabulary, width, layers, length }: TinySizes): Parameter[] {
  const matrix = (name: string, rows: number, columns: number, scale = 1 / Math.sqrt(columns)): Parameter => ({
    name,
    shape: [rows, columns],
    initial: (random) => bell(random, rows * columns, scale),
  })
  const norm = (name: string): Parameter => ({
    name,
    shape: [width],
    initial: (random) => bell(random, width, 0.01, 1),
  })
  const layer = (i: number) => [
    norm(`${i}.norm`),
    matrix(`${i}.qkv`, 3 * width, width),
    matrix(`${i}.output`, width, width),
    norm(`${i}.mlpNorm`),
    matrix(`${i}.gateUp`, 4 * width, width),
    matrix(`${i}.down`, width, 2 * width),
  ]
  return [
    matrix("embedding", vocabulary, width, 0.3),
    matrix("positions", length, width, 0.1),
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    norm("final"),
  ]
}

/** tokens int64 [batch, length] → logits [batch·length, vocabulary]; the embedding is the head too. */
export function tinyLogits(sizes: TinySizes, parameter: (name: string) => Value, tokens: Value): Value {
  const { width, heads, layers, length } = sizes
  const [batch] = tokens.shape as number[]
  const table = parameter("embedding")
  let x: Value = reshape(add(gather(table, tokens), parameter("positions")), [batch! * length, width])
  const mask = causal(x.graph, x.type, length)
  const linear = (y: Value, name: string) => fusedMatmul(y, parameter(name), { transB: true })
  for (let i = 0; i < layers; i++) {
    const qkv = linear(rmsNorm(x, parameter(`${i}.norm`), 1e-5), `${i}.qkv`)
    const size = width / heads
    const cut = (y: Value) => transpose(reshape(y, [batch!, length, heads, size]), [0, 2, 1, 3])
    const [q, k, v] = split(qkv, [width, width, width], 1).map(cut)
    const scores = add(fusedMatmul(q!, k!, { transB: true, alpha: 1 / Math.sqrt(size) }), mask)
    const mixed = transpose(fusedMatmul(softmax(scores), v!, {}), [0, 2, 1, 3])
    x = add(x, linear(reshape(mixed, [batch! * length, width]), `${i}.output`))
    const [gate, up] = split(
      linear(rmsNorm(x, parameter(`${i}.mlpNorm`), 1e-5), `${i}.gateUp`),
      [2 * width, 2 * width],
      1,
    )
    x = add(x, linear(multiply(silu(gate!), up!), `${i}.down`))
  }
  return fusedMatmul(rmsNorm(x, parameter("final"), 1e-5), table, { transB: true })
}

function causal(graph: Graph, type: Value["type"], length: number): Value {
  const entries = Array.from({ length: length * length }, (_, i) =>
    i % length > Math.floor(i / length) ? Number.NEGATIVE_INFINITY : 0,
  )
  return graph.constant(type, [length, length], entries)
}

export const tinyHyperparameters: Hyperparameters = {
  ...commonHyperparameters,
  steps: 450,
  batch: 16,
  learningRate: 6e-3,
  validateEvery: 100,
}

/** Characters of a text as ids, in the order in which they first appear. */
export function characters(path: string): { ids: Int32Array; count: number } {
  const known = new Map<string, number>()
  const ids = Int32Array.from([...readFileSync(path, "utf8")], (character) => {
    if (!known.has(character)) known.set(character, known.size)
    return known.get(character)!
  })
  return { ids, count: known.size }
}

/** The last tenth of the text is kept for validation. */
export function characterModel(text: Int32Array, sizes: TinySizes): Training {
  const cut = Math.floor(text.length * 0.9)
  return {
    parameters: tinyParameters(sizes),
    data: tokenWindows(text.subarray(0, cut), sizes.length),
    validation: tokenWindows(text.subarray(cut, Math.min(text.length, cut + 64 * sizes.length + 1)), sizes.length),
    loss({ parameter, batch }) {
      const logits = tinyLogits(sizes, parameter, batch("tokens"))
      const labels = reshape(batch("labels"), [-1])
      return { loss: mean(crossEntropy(logits, labels)), metrics: { accuracy: mean(hits(logits, labels)) } }
    },
  }
}
