/** A typed edge of the graph. */
import type { Dim, Shape } from "./dim.ts"
import type { Graph } from "./graph.ts"

export type ElementType = "float32" | "float64" | "float16" | "int8" | "uint8" | "int32" | "int64" | "bool"

export interface Value {
  readonly graph: Graph
  readonly name: string
  readonly type: ElementType
  readonly shape: Shape
}

export type AttributeValue = number | string | readonly number[] | { readonly float: number } | Block

/** One operator with its operands. `domain` is empty for standard ONNX. */
export interface Node {
  readonly op: string
  readonly domain: string
  /** Empty string = optional operand left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

/** A body of nodes: the graph itself, or one arm of an If. */
export interface Block {
  readonly nodes: Node[]
  readonly outputs: Value[]
}

/** Weights and constants. `data` is called once, when the model is written, so that weights are never held twice. */
export interface Initializer {
  readonly value: Value
  readonly bytes: number
  readonly data: () => Uint8Array
}

export type { Dim, Shape }
