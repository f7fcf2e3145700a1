/** What running a graph of known sizes costs: arithmetic of its products, memory of its values. */
import { bytesPerElement, type Graph } from "./graph.ts"
import type { Shape, Value } from "./value.ts"

const count = (shape: Shape): number => shape.reduce<number>((n, dim) => n * Number(dim), 1)
export const bytesOf = ({ shape, type }: Value): number => count(shape) * bytesPerElement[type]

/** Multiplications and additions of all matrix products; what else there is counts as nothing. */
export function productFlops(graph: Graph): number {
  let flops = 0
  for (const { op, inputs, outputs, attributes } of graph.body.nodes) {
    if (op !== "MatMul" && op !== "FusedMatMul") continue
    const left = graph.values.get(inputs[0]!)!.shape
    const inner = attributes.transA === 1 ? left.at(-2)! : left.at(-1)!
    flops += 2 * count(graph.values.get(outputs[0]!)!.shape) * Number(inner)
  }
  return flops
}

export const weightBytes = (graph: Graph): number =>
  [...graph.initializers.values()].reduce((sum, { bytes }) => sum + bytes, 0)

/** The most bytes that computed values take at once, nodes in their order, each value freed after its last use. */
export function peakBytes(graph: Graph): number {
  const { nodes } = graph.body
  const lastUse = new Map<string, number>()
  for (const [i, node] of nodes.entries()) for (const name of node.inputs) lastUse.set(name, i)
  for (const { name } of graph.outputs) lastUse.set(name, nodes.length)
  const computed = new Set<string>()
  let [live, peak] = [0, 0]
  for (const [i, node] of nodes.entries()) {
    for (const name of node.outputs) {
      computed.add(name)
      live += bytesOf(graph.values.get(name)!)
    }
    peak = Math.max(peak, live)
    for (const name of new Set([...node.inputs, ...node.outputs]))
      if (computed.has(name) && (lastUse.get(name) ?? i) === i) live -= bytesOf(graph.values.get(name)!)
  }
  return peak
}
