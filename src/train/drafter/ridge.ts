/** Least squares with a pull to zero, in closed form: the linear map that a drafter's training starts from. */
import { ForerunError } from "../../base/errors.ts"
import { fusedMatmul, Graph } from "../../graph/index.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { solvePositive } from "../../tensor/cholesky.ts"

/** Rows of inputs [rows, inputs] and of what they should give [rows, outputs]. */
export interface FitRows {
  readonly rows: number
  readonly x: Float32Array
  readonly y: Float32Array
}

export interface LinearFit {
  /** [outputs, inputs] */
  readonly weight: Float32Array
  /** [outputs] */
  readonly bias: Float32Array
}

export interface FitOptions {
  readonly inputs: number
  readonly outputs: number
  /** Pull to zero, as a share of the inputs' mean square. The bias is free. */
  readonly pull: number
  readonly threads: number
}

/** W and b of the least Σ|W·x + b − y|² + λ|W|². Products run in chunks through onnxruntime, sums in float64. */
export async function fitLinear(chunks: Iterable<FitRows>, options: FitOptions): Promise<LinearFit> {
  const { inputs, outputs, pull, threads } = options
  const size = inputs + 1 // a column of ones carries the bias
  const graph = new Graph()
  const x = graph.input("x", "float32", ["rows", size])
  graph.output("squares", fusedMatmul(x, x, { transA: true }))
  graph.output("products", fusedMatmul(x, graph.input("y", "float32", ["rows", outputs]), { transA: true }))
  const runner = await openGraph(graph, { threads })
  const [squares, products] = [new Float64Array(size * size), new Float64Array(size * outputs)]
  let count = 0
  try {
    for (const { rows, x: values, y } of chunks) {
      const wide = new Float32Array(rows * size).fill(1)
      for (let row = 0; row < rows; row++) wide.set(values.subarray(row * inputs, (row + 1) * inputs), row * size)
      const feeds = {
        x: { type: "float32", shape: [rows, size], data: wide },
        y: { type: "float32", shape: [rows, outputs], data: y },
      } as const
      const found = await runner.run(feeds, ["squares", "products"], rows)
      addTo(squares, found.squares!.data as Float32Array)
      addTo(products, found.products!.data as Float32Array)
      count += rows
    }
  } finally {
    await runner.dispose()
  }
  if (count === 0) throw new ForerunError("E_INPUT", "a linear fit needs rows, found none")
  let mean = 0
  for (let i = 0; i < inputs; i++) mean += squares[i * size + i]! / inputs
  for (let i = 0; i < inputs; i++) squares[i * size + i]! += pull * mean + 1e-9
  const solved = solvePositive(squares, products, size)
  const weight = new Float32Array(outputs * inputs)
  for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) weight[o * inputs + i] = solved[i * outputs + o]!
  return { weight, bias: Float32Array.from({ length: outputs }, (_, o) => solved[inputs * outputs + o]!) }
}

function addTo(sums: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += values[i]!
}
