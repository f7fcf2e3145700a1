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

/** What is added to a weight's product: x·Wᵀ + (x·downᵀ)·upᵀ. Unlike W + up·down it never makes a gradient of W's size. */
export interface LowRank {
  /** [out, rank] */
  readonly up: Value
  /** [rank, in] */
  readonly down: Value
}

/** What stands in for a weight: a trained parameter, a low-rank change of the frozen one, …; undefined = the frozen one. */
export type Adapt = (weight: FrozenWeight) => Value | LowRank | undefined

interface FoundWeight {
  readonly value: Value
  readonly change?: LowRank
}

/** The low-rank change of a weight, by its canonical name; undefined = none. */
export type Beside = (name: string) => LowRank | undefined

/** Weights by name, each in the graph once. */
export class TrainingWeights {
  readonly graph: Graph
  readonly type: FloatType
  #source: WeightSource
  #adapt: Adapt
  #known = new Map<string, FoundWeight>()
  #constants = new Map<string, Value>()
  #beside: Beside = () => undefined

  constructor(graph: Graph, source: WeightSource, { type, adapt }: { type: FloatType; adapt: Adapt }) {
    this.graph = graph
    this.type = type
    this.#source = source
    this.#adapt = adapt
  }

  /** The same values with changes beside them. */
  with(beside: Beside): TrainingWeights {
    const changed = new TrainingWeights(this.graph, this.#source, { type: this.type, adapt: this.#adapt })
    changed.#known = this.#known
    changed.#constants = this.#constants
    changed.#beside = beside
    return changed
  }

  /** The model as it was, in the same graph. */
  unchanged(): TrainingWeights {
    const own = new TrainingWeights(this.graph, this.#source, { type: this.type, adapt: () => undefined })
    own.#constants = this.#constants
    return own
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
    const { value, change: own } = this.#find(`${name}.weight`)
    const change = this.#beside(`${name}.weight`) ?? own
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

  /** Numbers that are not trained (frozen weights, tables, masks), each in the graph once. */
  constant(name: string, shape: readonly number[], values: () => Float32Array): Value {
    const known = this.#constants.get(name)
    if (known) return known
    const value = this.#initializer(name, shape, values)
    this.#constants.set(name, value)
    return value
  }

  #frozen(name: string, shape: readonly number[]): Value {
    return this.constant(name, shape, () => this.#source.float32(name))
  }

  #initializer(name: string, shape: readonly number[], load: () => Float32Array): Value {
    return this.graph.weight(name, this.type, shape, () => {
      const values = load()
      const { buffer, byteOffset, byteLength } = this.type === "float32" ? values : Float64Array.from(values)
      return new Uint8Array(buffer, byteOffset, byteLength)
    })
  }
}
