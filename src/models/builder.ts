/** What every family builds with: named weights, residuals, inputs that the runtime fills, in one graph under construction. */
import { ForerunError } from "../base/errors.ts"
import { add, addRmsNorm, type ElementType, Graph, layerNorm, type Shape, type Value } from "../graph/index.ts"
import { concatenate } from "../tensor/concatenate.ts"
import type { ModelConfig, RopeConfig } from "./config.ts"
import { type Linear, type LinearFormat, matrixOf } from "./linear.ts"
import type { TensorInfo, WeightSource } from "./weights.ts"

/** The residual stream before its last addition, so that the addition can be fused with the norm that follows. */
export interface Residual {
  readonly base: Value
  readonly delta: Value
}

/** Rotary tables, one per distinct rope and head layout; the host fills `cos<i>` and `sin<i>` for each pass. */
export interface RopeTable {
  readonly rope: RopeConfig
  /** Heads of a row that turn, then heads that stay as they are (values ride along when nothing comes between). */
  readonly turning: number
  readonly still: number
}

/** Always at least one block: where there is none, one whose bias hides it adds exact zeros. (An If costs more.) */
export interface Past {
  /**
   * Columns of ones, for blocks [blockSize, 1] and for tail and new rows [tail+rows, 1]: they sum the probabilities in
   * the order in which the values are summed.
   */
  readonly blockOnes: Value
  readonly tailOnes: Value
  /** [blocks, kvHeads, headSize, 128]: transposed, so that their product needs no transposition */
  readonly blockKeys: Value
  /** [blocks, kvHeads, 128, headSize] */
  readonly blockValues: Value
  /** [tail, kvHeads, headSize] */
  readonly tailKeys: Value
  readonly tailValues: Value
}

/** Sizes that are known when a pass runs. */
export const rows = "rows"
export const blocks = "blocks"
export const tail = "tail"

/** Cached positions are summed in full blocks of this many (RUNTIME §6). */
export const blockSize = 128

export class ModelBuilder {
  readonly graph = new Graph()
  readonly config: ModelConfig
  readonly source: WeightSource
  readonly ropeTables: RopeTable[] = []
  /** Distinct attention windows; the host fills `bias<i>` and `blockBias<i>` for each. undefined = no window. */
  readonly windows: (number | undefined)[] = []
  /** New keys and values of each layer, [rows, kvHeads, headSize]; the attention blocks append to them. */
  readonly keys: Value[] = []
  readonly values: Value[] = []
  #format: LinearFormat
  #vectors = new Map<string, Value>()
  #linears = new Map<string, Linear>()
  #tables: { cos: Value; sin: Value }[] = []
  /** Whether a pass has rows of several sequences (merged-attention.ts). */
  readonly merged: boolean
  #inputs = new Map<string, Value>()

  constructor(config: ModelConfig, source: WeightSource, format: LinearFormat, merged = false) {
    this.merged = merged
    this.config = config
    this.source = source
    this.#format = format
  }

  tensor(name: string): TensorInfo {
    const info = this.source.tensors.get(name)
    if (!info)
      throw new ForerunError(
        "E_MODEL_FORMAT",
        `${this.config.family} needs the tensor ${name}, which the model does not have`,
      )
    return info
  }

  has(name: string): boolean {
    return this.source.tensors.has(name)
  }

  /** A vector in float32; `offset` is added to every entry (gemma stores norm weights minus one). */
  vector(name: string, offset = 0): Value {
    const known = this.#vectors.get(name)
    if (known) return known
    const { shape } = this.tensor(name)
    const value = this.graph.weight(name, "float32", shape, () => {
      const values = this.source.float32(name)
      if (offset !== 0) for (let i = 0; i < values.length; i++) values[i]! += offset
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    })
    this.#vectors.set(name, value)
    return value
  }

  /** The projection by the stacked rows of `names` (…weight), plus their biases where the model has them. */
  linear(...names: string[]): Linear {
    return this.#linear(names, false)
  }

  /** The same, of an input with outlier columns: what attention and the head read (docs/weights.md). */
  outlierLinear(...names: string[]): Linear {
    return this.#linear(names, true)
  }

  #linear(names: readonly string[], outliers: boolean): Linear {
    const key = names.join("|")
    const known = this.#linears.get(key)
    if (known) return known
    const tensors = names.map((name) => this.tensor(`${name}.weight`))
    const product = this.#format(this.graph, matrixOf(this.source, `${key}.weight`, tensors, outliers))
    const biased = names.filter((name) => this.has(`${name}.bias`))
    if (biased.length !== 0 && biased.length !== names.length)
      throw new ForerunError(
        "E_MODEL_FORMAT",
        `${biased.join(", ")} have a bias, the rest of ${names.join(", ")} have none`,
      )
    const linear: Linear = biased.length === 0 ? product : (x) => add(product(x), this.#stackedBias(names))
    this.#linears.set(key, linear)
    return linear
  }

  #stackedBias(names: readonly string[]): Value {
    if (names.length === 1) return this.vector(`${names[0]}.bias`)
    const key = names.map((name) => `${name}.bias`).join("|")
    const known = this.#vectors.get(key)
    if (known) return known
    const size = names.reduce((sum, name) => sum + this.tensor(`${name}.bias`).shape[0]!, 0)
    const value = this.graph.weight(key, "float32", [size], () => {
      const parts = names.map((name) => this.source.float32(`${name}.bias`))
      return new Uint8Array(concatenate(parts, Float32Array).buffer)
    })
    this.#vectors.set(key, value)
    return value
  }

  /** base + delta, and its RMS norm. */
  addNorm(x: Residual, weight: string, offset = 0): { sum: Value; normed: Value } {
    return addRmsNorm(x.base, x.delta, this.vector(weight, offset), this.config.normEpsilon)
  }

  /** base + delta, and its LayerNorm. */
  addLayerNorm(x: Residual, name: string): { sum: Value; normed: Value } {
    const sum = this.sum(x)
    return {
      sum,
      normed: layerNorm(sum, this.vector(`${name}.weight`), this.vector(`${name}.bias`), this.config.normEpsilon),
    }
  }

  sum(x: Residual): Value {
    return add(x.base, x.delta)
  }

  ropeTable(table: RopeTable): { cos: Value; sin: Value } {
    const key = JSON.stringify(table)
    let index = this.ropeTables.findIndex((known) => JSON.stringify(known) === key)
    if (index < 0) {
      index = this.ropeTables.push(table) - 1
      const shape = [`${table.turning + table.still}*${rows}`, table.rope.dimensions / 2]
      this.#tables.push({
        cos: this.graph.input(`cos${index}`, "float32", shape),
        sin: this.graph.input(`sin${index}`, "float32", shape),
      })
    }
    return this.#tables[index]!
  }

  /**
   * Additive masks of a layer over tail and new positions [groups·rows, tail+rows], and over full blocks. The host may
   * pass size 1 wherever all entries of an axis are alike.
   */
  bias(layer: number): { tail: Value; blocks: Value } {
    const index = this.windowOf(layer)
    const queries = `${this.config.heads / this.config.kvHeads}*${rows}`
    return {
      tail: this.input(`bias${index}`, "float32", [queries, `${tail}+${rows}`]),
      blocks: this.input(`blockBias${index}`, "float32", [blocks, 1, queries, blockSize]),
    }
  }

  /** Which of the distinct windows is this layer's. */
  windowOf(layer: number): number {
    const window = this.config.layer[layer]!.slidingWindow
    const known = this.windows.indexOf(window)
    return known < 0 ? this.windows.push(window) - 1 : known
  }

  /** An input of the graph that is made when it is first asked for. */
  input(name: string, type: ElementType, shape: Shape): Value {
    const value = this.#inputs.get(name) ?? this.graph.input(name, type, shape)
    this.#inputs.set(name, value)
    return value
  }

  /** The cache of a layer, and what all layers share to read theirs. */
  past(layer: number): Past {
    const { kvHeads, headSize } = this.config
    return {
      blockOnes: this.input("blockOnes", "float32", [blockSize, 1]),
      tailOnes: this.input("tailOnes", "float32", [`${rows}+${tail}`, 1]),
      blockKeys: this.graph.input(`blockKeys${layer}`, "float32", [blocks, kvHeads, headSize, blockSize]),
      blockValues: this.graph.input(`blockValues${layer}`, "float32", [blocks, kvHeads, blockSize, headSize]),
      tailKeys: this.graph.input(`tailKeys${layer}`, "float32", [tail, kvHeads, headSize]),
      tailValues: this.graph.input(`tailValues${layer}`, "float32", [tail, kvHeads, headSize]),
    }
  }
}
