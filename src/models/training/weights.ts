/** Weights of a model whose graph is differentiated: frozen initialisers, unless a recipe puts something in their place. */
import { ForerunError } from "../../base/errors.ts"
import { add, cast, fusedMatmul, type Graph, type Value } from "../../graph/index.ts"
import type { WeightSource } from "../weights.ts"

export type FloatType = "float32" | "float64"

export interface FrozenWeight {
  /** Canonical: model.layers.0.self_attn.q_proj.weight */
  readonly name: string
  readonly shape: readonly number[]
  /** The checkpoint's own values, as an initialiser. */
  frozen(): Value
}

/** What stands in for a weight: a trained parameter, the frozen one plus a low-rank product, …; undefined = the frozen one. */
export type Adapt = (weight: FrozenWeight) => Value | undefined

/** Weights by name, each in the graph once. */
export class TrainingWeights {
  readonly graph: Graph
  readonly type: FloatType
  #source: WeightSource
  #adapt: Adapt
  #known = new Map<string, Value>()

  constructor(graph: Graph, source: WeightSource, { type, adapt }: { type: FloatType; adapt: Adapt }) {
    this.graph = graph
    this.type = type
    this.#source = source
    this.#adapt = adapt
  }

  has(name: string): boolean {
    return this.#source.tensors.has(name)
  }

  get(name: string): Value {
    const known = this.#known.get(name)
    if (known) return known
    const info = this.#source.tensors.get(name)
    if (!info)
      throw new ForerunError("E_MODEL_FORMAT", `training needs the tensor ${name}, which the model does not have`)
    const { shape } = info
    const value = this.#adapt({ name, shape, frozen: () => this.#frozen(name, shape) }) ?? this.#frozen(name, shape)
    const typed = cast(value, this.type)
    this.#known.set(name, typed)
    return typed
  }

  /** x·Wᵀ, and the bias where there is one. x [rows, in] → [rows, out] */
  linear(x: Value, name: string): Value {
    const product = fusedMatmul(x, this.get(`${name}.weight`), { transB: true })
    return this.has(`${name}.bias`) ? add(product, this.get(`${name}.bias`)) : product
  }

  /** Numbers that are no weights (tables, masks), each in the graph once. */
  constant(name: string, shape: readonly number[], values: () => Float32Array): Value {
    const known = this.#known.get(name)
    if (known) return known
    const value = this.#initializer(name, shape, values)
    this.#known.set(name, value)
    return value
  }

  #frozen(name: string, shape: readonly number[]): Value {
    return this.#initializer(name, shape, () => this.#source.float32(name))
  }

  #initializer(name: string, shape: readonly number[], load: () => Float32Array): Value {
    return this.graph.weight(name, this.type, shape, () => {
      const values = load()
      const { buffer, byteOffset, byteLength } = this.type === "float32" ? values : Float64Array.from(values)
      return new Uint8Array(buffer, byteOffset, byteLength)
    })
  }
}
