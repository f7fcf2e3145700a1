/** The graph under construction: inputs, initialisers, and nodes appended in order by the functions of ops/. */
import { ForerunError } from "../base/errors.ts"
import { type Shape, shapeText } from "./dim.ts"
import type { AttributeValue, Block, ElementType, Initializer, Node, Value } from "./value.ts"

export const bytesPerElement: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  int8: 1,
  uint8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
}

export interface NodeOptions {
  readonly domain?: string
  readonly attributes?: Readonly<Record<string, AttributeValue | undefined>>
}

export class Graph {
  readonly inputs: Value[] = []
  readonly outputs: Value[] = []
  readonly initializers = new Map<string, Initializer>()
  readonly body: Block = { nodes: [], outputs: [] }
  /** Every value by name, for printing and for gradients. */
  readonly values = new Map<string, Value>()
  /** Runs of the body's nodes [from, to) that a backward pass builds again instead of keeping their values alive. */
  readonly segments: { readonly from: number; readonly to: number }[] = []
  #block: Block = this.body
  #scope: string[] = []
  #constants = new Map<string, Value>()
  #counter = 0

  input(name: string, type: ElementType, shape: Shape): Value {
    const value = this.#declare(name, type, shape)
    this.inputs.push(value)
    return value
  }

  /** Names a value as a result of the graph. */
  output(name: string, value: Value): void {
    const named = this.node("Identity", [value], [{ type: value.type, shape: value.shape, name }])[0]!
    this.outputs.push(named)
  }

  /** A weight: its bytes are asked for once, when the model is written. */
  weight(name: string, type: ElementType, shape: readonly number[], data: () => Uint8Array): Value {
    const value = this.#declare(name, type, shape)
    const bytes = shape.reduce((n, dim) => n * dim, bytesPerElement[type])
    this.initializers.set(name, { value, bytes, data })
    return value
  }

  /** A small constant; equal ones are shared. */
  constant(type: ElementType, shape: readonly number[], values: readonly number[]): Value {
    const key = `${type}${shapeText(shape)}${values.join(",")}`
    const known = this.#constants.get(key)
    if (known) return known
    const size = shape.reduce((n, dim) => n * dim, 1)
    if (size !== values.length)
      throw new ForerunError(
        "E_GRAPH",
        `constant: shape ${shapeText(shape)} holds ${size} values, got ${values.length}`,
      )
    const name = `const_${this.#constants.size}`
    const value = this.weight(name, type, shape, () => encode(type, values))
    this.#constants.set(key, value)
    return value
  }

  scalar(type: ElementType, value: number): Value {
    return this.constant(type, [], [value])
  }

  /** Appends a node to the current block and declares its outputs. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly { type: ElementType; shape: Shape; name?: string }[],
    options: NodeOptions = {},
  ): Value[] {
    const results = outputs.map(({ type, shape, name }) => this.#declare(name ?? this.#fresh(op), type, shape))
    const attributes: Record<string, AttributeValue> = {}
    for (const [key, value] of Object.entries(options.attributes ?? {}))
      if (value !== undefined) attributes[key] = value
    const node: Node = {
      op,
      domain: options.domain ?? "",
      inputs: inputs.map((value) => value?.name ?? ""),
      outputs: results.map((value) => value.name),
      attributes,
    }
    this.#block.nodes.push(node)
    return results
  }

  /** Prefixes the names of everything built inside, so that a printout and a profile read like the model. */
  scope<T>(name: string, build: () => T): T {
    this.#scope.push(name)
    try {
      return build()
    } finally {
      this.#scope.pop()
    }
  }

  /** Builds an arm of an If: nodes go into a block of their own and may use any value of the enclosing ones. */
  block(build: () => Value[]): Block {
    const outer = this.#block
    const block: Block = { nodes: [], outputs: [] }
    this.#block = block
    try {
      // An arm returns values of its own only, so what comes from outside passes through an Identity.
      for (const value of build()) {
        const own = block.nodes.some((node) => node.outputs.includes(value.name))
        block.outputs.push(own ? value : this.node("Identity", [value], [{ type: value.type, shape: value.shape }])[0]!)
      }
    } finally {
      this.#block = outer
    }
    return block
  }

  #declare(name: string, type: ElementType, shape: Shape): Value {
    if (this.values.has(name)) throw new ForerunError("E_GRAPH", `a value named ${name} exists already`)
    const value: Value = { graph: this, name, type, shape }
    this.values.set(name, value)
    return value
  }

  #fresh(op: string): string {
    return [...this.#scope, `${op}_${this.#counter++}`].join("/")
  }
}

function encode(type: ElementType, values: readonly number[]): Uint8Array {
  const arrays = {
    float32: () => Float32Array.from(values),
    float64: () => Float64Array.from(values),
    int8: () => Int8Array.from(values),
    uint8: () => Uint8Array.from(values),
    bool: () => Uint8Array.from(values),
    int32: () => Int32Array.from(values),
    int64: () => BigInt64Array.from(values.map(BigInt)),
    float16: () => {
      throw new ForerunError("E_GRAPH", "float16 constants are not supported")
    },
  }
  const array = arrays[type]()
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
