/** The smallest graph with a weight: y = x · W + 1. */
import { add, Graph, matmul } from "../../src/graph/index.ts"

/** W [2, 2] as an external weight would be: [[1, 2], [3, 4]]. */
export function affineGraph(): Graph {
  const graph = new Graph()
  const x = graph.input("x", "float32", ["rows", 2])
  const w = graph.weight("w", "float32", [2, 2], () => new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
  graph.output("y", add(matmul(x, w), graph.scalar("float32", 1)))
  return graph
}
