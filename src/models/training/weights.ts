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

/** W + up · down, with up [out, rank] and down [rank, in]. */
export interface LowRank {
  readonly up: Value
  readonly down: Value
}

/** What stands in for a weight: a trained parameter, a low-rank change of the frozen one, …; undefined = the frozen one. */
export type Adapt = (weight: FrozenWeight) => Value | LowRank | undefined

interface FoundWeight {
  readonly value: Value
  readonly change?: LowRank
}

/** Weights by name, each in the graph once. */
export class TrainingWeights {
  readonly graph: Graph
  readonly type: FloatType
  #source: WeightSource
  #adapt: Adapt
  #known = new Map<string, FoundWeight>()
  #constants = new Map<string, Value>()

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
    const { value, change } = this.#find(name)
    return change ? add(value, fusedMatmul(change.up, change.down, {})) : value
  }

  /**
   * x·Wᵀ, and the bias where there is one. x [rows, in] → [rows, out]. A low-rank change is (x·downᵀ)·upᵀ beside it: the
   * frozen weights stay packed, and no gradient of their size is computed.
   */
  linear(x: Value, name: string): Value {
    const { value, change } = this.#find(`${name}.weight`)
    const times = (y: Value, weight: Value) => fusedMatmul(y, weight, { transB: true })
    const frozen = times(x, value)
    const product = change ? add(frozen, times(times(x, change.down), change.up)) : frozen
    return this.has(`${name}.bias`) ? add(product, this.get(`${name}.bias`)) : product
  }

  #find(name: string): FoundWeight {
    const known = this.#known.get(name)
    if (known) return known
    const info = this.#source.tensors.get(name)
    if (!info)
      throw new ForerunError("E_MODEL_FORMAT", `training needs the tensor ${name}, which the model does not have`)
    const { shape } = info
    const given = this.#adapt({ name, shape, frozen: () => this.#frozen(name, shape) }) ?? this.#frozen(name, shape)
    const found: FoundWeight =
      "up" in given
        ? { value: cast(this.#frozen(name, shape), this.type), change: given }
        : { value: cast(given, this.type) }
    this.#known.set(name, found)
    return found
  }

  /** Numbers that are no weights (tables, masks), each in the graph once. */
  constant(name: string, shape: readonly number[], values: () => Float32Array): Value {
    const known = this.#constants.get(name)
    if (known) return known
    const value = this.#initializer(name, shape, values)
    this.#constants.set(name, value)
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
