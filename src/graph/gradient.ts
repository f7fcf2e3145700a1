/** Reverse-mode differentiation: appends to a graph the nodes that compute the gradients of a scalar. */
import { fail } from "./check.ts"
import { dimEqual, dimProduct, shapeEqual } from "./dim.ts"
import { linearRules } from "./gradients/linear.ts"
import { mathRules } from "./gradients/math.ts"
import { movementRules } from "./gradients/movement.ts"
import { normRules } from "./gradients/norm.ts"
import { reduceRules } from "./gradients/reduce.ts"
import type { Contribution, Met, Rules } from "./gradients/rule.ts"
import type { Graph } from "./graph.ts"
import { add } from "./ops/math.ts"
import { expand, zeros } from "./ops/scatter.ts"
import { Recomputation } from "./recompute.ts"
import type { AttributeValue, Block, Node, Value } from "./value.ts"

const rules: Rules = { ...mathRules, ...movementRules, ...reduceRules, ...linearRules, ...normRules }

const isFloat = (value: Value): boolean => value.type === "float32" || value.type === "float64"

/**
 * d loss / d target for each target, in their order and of their shapes. A value used several times gets the sum; a
 * broadcast operand the sum over its copies.
 * @param loss one number, float32 or float64
 * @throws E_GRAPH naming the operator and its operands where one on the way has no gradient
 */
export function gradients(loss: Value, targets: readonly Value[]): Value[] {
  if (!isFloat(loss) || !dimEqual(dimProduct(loss.shape), 1))
    fail("gradients", "the loss must be one floating-point number", loss)
  const { graph } = loss
  const nodes = [...graph.body.nodes]
  const dependent = dependents(graph, nodes, targets)
  const sums = new Sums()
  sums.add(loss, expand(graph.scalar(loss.type, 1), loss.shape))
  const recomputation = new Recomputation(graph, nodes)
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!
    const outputs = node.outputs.map((name) => graph.values.get(name)!)
    if (!outputs.some(({ name }) => sums.has(name) && dependent.has(name))) continue
    const given = outputs.map((value) => sums.total(value))
    propagate(met(graph, node, given, recomputation.view(index, given)), dependent, sums)
  }
  return targets.map(
    (target) => sums.total(target) ?? fail("gradients", "the loss does not depend on this value", target, loss),
  )
}

/** Names of all values computed from the targets, themselves included. */
function dependents(graph: Graph, nodes: readonly Node[], targets: readonly Value[]): Set<string> {
  const names = new Set(targets.map(({ name }) => name))
  for (const node of nodes)
    if (operandsOf(node).some((name) => names.has(name)))
      for (const name of node.outputs) if (isFloat(graph.values.get(name)!)) names.add(name)
  return names
}

/** Operands, and for an If what its arms take from outside. */
function operandsOf(node: Node): string[] {
  const inner = Object.values(node.attributes).flatMap((value) =>
    isBlock(value) ? value.nodes.flatMap(operandsOf) : [],
  )
  return [...node.inputs, ...inner]
}

const isBlock = (value: AttributeValue): value is Block => typeof value === "object" && "nodes" in value

type Lookup = (name: string) => Value

function met(graph: Graph, node: Node, given: readonly (Value | undefined)[], lookup: Lookup): Met {
  return {
    graph,
    node,
    inputs: node.inputs.length,
    input: (index) => lookup(node.inputs[index]!),
    shape: (index) => graph.values.get(node.inputs[index]!)!.shape,
    output: (index) => lookup(node.outputs[index]!),
    gradients: given,
    get gradient() {
      return given[0] ?? fail(`gradient of ${node.op}`, "its first result takes no part in the loss")
    },
  }
}

function propagate(at: Met, dependent: ReadonlySet<string>, sums: Sums): void {
  const { graph, node } = at
  const operands = node.inputs.filter((name) => name !== "").map((name) => graph.values.get(name)!)
  const refuse = (problem: string): never => fail(node.op, problem, ...operands)
  if (Object.values(node.attributes).some(isBlock))
    refuse("a conditional has no gradient; build the graph without it for training")
  const rule = Object.hasOwn(rules, node.op) ? rules[node.op]! : refuse("this operator has no gradient rule")
  const builders = rule(at)
  for (const [i, name] of node.inputs.entries()) {
    if (!dependent.has(name)) continue
    const build = builders[i] ?? refuse(`there is no gradient for operand ${i}`)
    sums.add(graph.values.get(name)!, build())
  }
}

/** The gradient of each value so far: a sum over its uses, made when it is asked for. */
class Sums {
  #parts = new Map<string, Contribution[]>()

  has(name: string): boolean {
    return this.#parts.has(name)
  }

  add(value: Value, part: Contribution): void {
    if (!("addTo" in part) && !shapeEqual(part.shape, value.shape))
      fail("gradients", "a gradient needs its value's shape", value, part)
    const parts = this.#parts.get(value.name)
    if (parts) parts.push(part)
    else this.#parts.set(value.name, [part])
  }

  /** Dense uses first; entries are then added to their sum, or to zeros. */
  total(value: Value): Value | undefined {
    const parts = this.#parts.get(value.name)
    if (!parts) return undefined
    let sum: Value | undefined
    for (const part of parts) if (!("addTo" in part)) sum = sum ? add(sum, part) : part
    for (const part of parts) if ("addTo" in part) sum = part.addTo(sum ?? zeros(value))
    this.#parts.set(value.name, [sum!])
    return sum
  }
}
