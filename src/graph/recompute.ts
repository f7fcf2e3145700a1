/**
 * Recomputation: a marked run of nodes is built a second time for the backward pass, so that its inner values need not
 * live from one pass to the other (onnxruntime frees a value after its last use).
 */

import { dimEqual, dimProduct } from "./dim.ts"
import type { Graph } from "./graph.ts"
import { absolute, add, minimum } from "./ops/math.ts"
import { reshape, slice } from "./ops/movement.ts"
import type { Node, Value } from "./value.ts"

/** Marks all that `build` appends to the graph. Segments do not nest: an inner one counts as part of the outer. */
export function recomputed<T>(graph: Graph, build: () => T): T {
  const from = graph.body.nodes.length
  const result = build()
  const to = graph.body.nodes.length
  while (graph.segments.length > 0 && graph.segments.at(-1)!.from >= from) graph.segments.pop()
  if (to > from) graph.segments.push({ from, to })
  return result
}

/** Where a backward pass finds the values of the forward pass. */
export class Recomputation {
  #graph: Graph
  #nodes: readonly Node[]
  #views = new Map<number, (name: string) => Value>()

  constructor(graph: Graph, nodes: readonly Node[]) {
    this.#graph = graph
    this.#nodes = nodes
  }

  /**
   * Values as the rule of node `index` should see them: its own, or those of the segment's second run, which waits for
   * the gradient that comes first.
   */
  view(index: number, gradients: readonly (Value | undefined)[]): (name: string) => Value {
    const segment = this.#graph.segments.find(({ from, to }) => from <= index && index < to)
    if (!segment) return (name) => this.#graph.values.get(name)!
    const known = this.#views.get(segment.from)
    if (known) return known
    const view = this.#secondRun(segment, gradients.find((gradient) => gradient !== undefined)!)
    this.#views.set(segment.from, view)
    return view
  }

  #secondRun({ from, to }: { from: number; to: number }, first: Value): (name: string) => Value {
    const graph = this.#graph
    const producers = new Map<string, Node>()
    for (const node of this.#nodes.slice(from, to)) for (const name of node.outputs) producers.set(name, node)
    const computed = new Set(this.#nodes.slice(0, from).flatMap(({ outputs }) => outputs))
    const copies = new Map<string, Value>()
    const wait = waitFor(first)
    const copy = (name: string): Value => {
      const done = copies.get(name)
      if (done) return done
      const node = producers.get(name)
      const original = graph.values.get(name)!
      if (!node) {
        // Without the wait onnxruntime would see equal nodes with equal operands, and keep the first run's values.
        const floating = original.type === "float32" || original.type === "float64"
        const value = computed.has(name) && floating ? wait(original) : original
        copies.set(name, value)
        return value
      }
      const inputs = node.inputs.map((input) => (input === "" ? undefined : copy(input)))
      const outputs = node.outputs.map((output) => graph.values.get(output)!)
      const results = graph.node(
        node.op,
        inputs,
        outputs.map(({ type, shape }) => ({ type, shape })),
        node,
      )
      for (const [i, output] of node.outputs.entries()) copies.set(output, results[i]!)
      return copies.get(name)!
    }
    return copy
  }
}

/** x + 0, where the zero is known only when `first` is: min(|·|, 0) of one of its entries. */
function waitFor(first: Value): (x: Value) => Value {
  const { graph } = first
  let zero: Value | undefined
  return (x) => {
    if (x.type !== first.type) return x
    if (!zero) {
      const flat = reshape(first, [-1])
      const entry = dimEqual(dimProduct(first.shape), 1) ? flat : slice(flat, 0, 0, 1)
      zero = reshape(minimum(absolute(entry), graph.scalar(first.type, 0)), [])
    }
    return add(x, zero)
  }
}
