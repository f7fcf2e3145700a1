/** How states of one layer go together with those some places on: sums over the rows of packs, and maps from them. */
import { ForerunError } from "../../base/errors.ts"
import { concat, fusedMatmul, Graph, multiply, pad, reshape, slice } from "../../graph/index.ts"
import type { ModelConfig } from "../../models/config.ts"
import { trainingView } from "../../models/training/view.ts"
import type { WeightSource } from "../../models/weights.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { solvePositive } from "../../tensor/cholesky.ts"
import { maskOfPack, type Pack, type PackRows, rowsOfPack } from "./packs.ts"
import type { TransferStop } from "./pseudo-rows.ts"

/** Sums over anchors n that have all steps after them; x̃ is x with a one behind it. */
export interface Moments {
  readonly rows: number
  /** Σ x̃[n]·x̃[n]ᵀ [hidden + 1, hidden + 1] */
  readonly own: Float64Array
  /** By step that begins at the stop: Σ x̃[n]·x[n + j]ᵀ [hidden + 1, hidden] */
  readonly ahead: readonly Float64Array[]
}

interface Measuring {
  readonly target: { readonly config: ModelConfig; readonly weights: WeightSource }
  readonly stops: readonly TransferStop[]
  readonly steps: number
  readonly length: number
  readonly threads: number
  readonly signal: AbortSignal
}

/** Of each stop. @throws E_ABORTED */
export async function measureMoments(packs: readonly Pack[], measuring: Measuring): Promise<Moments[]> {
  const { target, stops, steps, length, threads, signal } = measuring
  const width = target.config.hidden
  const sums = stops.map(({ count }) => ({
    own: new Float64Array((width + 1) ** 2),
    ahead: Array.from({ length: count }, () => new Float64Array((width + 1) * width)),
  }))
  let rows = 0
  const graph = momentsGraph(measuring)
  const runner = await openGraph(graph, { threads })
  try {
    for (const pack of packs) {
      if (signal.aborted) throw new ForerunError("E_ABORTED", "stopped while the states were measured")
      const whole = rowsOfPack(pack, length)
      const anchors = whole.anchors.filter((row) => row + steps < whole.ends[row]!)
      rows += anchors.length
      const found = await runner.run(
        feedsOf(whole, anchors),
        graph.outputs.map(({ name }) => name),
      )
      for (const [i, { own, ahead }] of sums.entries()) {
        addTo(own, found[`own${i}`]!.data as Float32Array)
        for (const [j, sum] of ahead.entries()) addTo(sum, found[`ahead${i}.${j}`]!.data as Float32Array)
      }
    }
  } finally {
    await runner.dispose()
  }
  return sums.map((sum) => ({ ...sum, rows }))
}

function addTo(sum: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!
}

function feedsOf(pack: PackRows, anchors: readonly number[]) {
  const length = pack.tokens.length
  const chosen = new Float32Array(length)
  for (const row of anchors) chosen[row] = 1
  const integers = (values: Int32Array) =>
    ({ type: "int64", shape: [1, length], data: BigInt64Array.from(values, BigInt) }) as const
  return {
    tokens: integers(pack.tokens),
    positions: integers(pack.positions),
    mask: { type: "float32", shape: [1, length, length], data: maskOfPack(pack) },
    chosen: { type: "float32", shape: [length, 1], data: chosen },
  } as const
}

function momentsGraph({ target, stops, length }: Measuring): Graph {
  const graph = new Graph()
  const view = trainingView(graph, target)
  const positions = graph.input("positions", "int64", [1, length])
  const mask = graph.input("mask", "float32", [1, length, length])
  const chosen = graph.input("chosen", "float32", [length, 1])
  const ones = graph.constant("float32", [length, 1], new Array<number>(length).fill(1))
  let x = view.embed(graph.input("tokens", "int64", [1, length]))
  let from = 0
  for (const [i, { layer, before, count }] of stops.entries()) {
    x = view.layers(x, [from, layer], { batch: 1, length, positions, mask })
    from = layer
    const counted = multiply(concat([x, ones], 1), chosen)
    graph.output(`own${i}`, fusedMatmul(counted, counted, { transA: true }))
    for (let j = 0; j < count; j++) {
      const step = before + j + 1
      const ahead = pad(slice(x, 0, step, length), 0, 0, step)
      graph.output(`ahead${i}.${j}`, fusedMatmul(counted, reshape(ahead, x.shape), { transA: true }))
    }
  }
  return graph
}

/** A map of states in units of their channels: x + scale ∘ (D·(x / scale) + offset). */
export interface StartMap {
  /** D [hidden, hidden] */
  readonly map: Float32Array
  readonly offset: Float32Array
}

/** Root mean square of each channel, none so small that a state far from it would blow up. */
export function channelScales({ own, rows }: Moments, hidden: number): Float32Array {
  const squares = Float64Array.from({ length: hidden }, (_, c) => own[c * (hidden + 1) + c]! / rows)
  const floor = 1e-3 * Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / hidden)
  return Float32Array.from(squares, (square) => Math.max(Math.sqrt(square), floor))
}

/**
 * The map with the smallest squared error of x[n + j], for step `step` of those that begin here. `penalty` pulls it
 * towards the mean: it is added to each channel's own square, in units of that.
 */
export function ridgeMap(moments: Moments, step: number, { scales, penalty }: RidgeOptions): StartMap {
  const { own, rows } = moments
  const hidden = scales.length
  const n = hidden + 1
  const unit = (i: number) => (i < hidden ? scales[i]! : 1)
  const a = Float64Array.from({ length: n * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n]
    const value = own[i]! / (rows * unit(row) * unit(column))
    return row === column && row < hidden ? value + penalty : value
  })
  const ahead = moments.ahead[step]!
  const b = Float64Array.from({ length: n * hidden }, (_, i) => {
    const [row, column] = [Math.floor(i / hidden), i % hidden]
    return ahead[i]! / (rows * unit(row) * unit(column))
  })
  const x = solvePositive(a, b, n) // [in, out]
  const map = Float32Array.from({ length: hidden * hidden }, (_, i) => {
    const [out, into] = [Math.floor(i / hidden), i % hidden]
    return x[into * hidden + out]! - (out === into ? 1 : 0)
  })
  return { map, offset: Float32Array.from({ length: hidden }, (_, out) => x[hidden * hidden + out]!) }
}

export interface RidgeOptions {
  readonly scales: Float32Array
  readonly penalty: number
}
