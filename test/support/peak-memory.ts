/** A process of its own: `peak-memory.ts kept|recomputed` takes gradients through a deep stack, prints its peak memory in MB. */
import {
  add,
  exp,
  Graph,
  gradients,
  matmul,
  multiply,
  recomputed,
  reduceMean,
  serialize,
  sigmoid,
  tanh,
  type Value,
} from "../../src/graph/index.ts"
import { createSession } from "../../src/runtime/session-node.ts"

const again = process.argv[2] === "recomputed"
const [rows, width, layers] = [16384, 64, 16]
const graph = new Graph()
let x: Value = graph.input("x", "float32", [rows, width])
const weights = Array.from({ length: layers }, (_, i) => graph.input(`w${i}`, "float32", [width, width]))
for (const weight of weights) {
  // Each layer has several inner values that its gradient needs, 4 MB each.
  const layer = () => {
    const inner = tanh(matmul(x, weight))
    const gate = sigmoid(matmul(inner, weight))
    const bent = exp(multiply(inner, gate))
    return add(x, multiply(tanh(matmul(bent, weight)), gate))
  }
  x = again ? recomputed(graph, layer) : layer()
}
const loss = reduceMean(multiply(x, x), [0, 1], false)
for (const [i, gradient] of gradients(loss, weights).entries()) graph.output(`d${i}`, gradient)
graph.output("loss", loss)
const session = await createSession({ model: serialize(graph, "w").model }, { threads: 1, device: "cpu" })
const feeds = {
  x: session.tensor(
    "float32",
    Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i)),
    [rows, width],
  ),
  ...Object.fromEntries(
    weights.map(({ name }, layer) => [
      name,
      session.tensor(
        "float32",
        Float32Array.from({ length: width * width }, (_, i) => 0.1 * Math.cos(i * 1.3 + layer)),
        [width, width],
      ),
    ]),
  ),
}
const before = process.memoryUsage().rss
const found = await session.run(
  feeds,
  graph.outputs.map(({ name }) => name),
)
const peak = process.resourceUsage().maxRSS * 1024 - before
console.log(JSON.stringify({ megabytes: peak / 2 ** 20, d0: Array.from(found.d0!.data.slice(0, 8), Number) }))
