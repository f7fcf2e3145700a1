/** The graph of training: pseudo rows of many anchors, through the frozen later layers, beside the rows of the text. */
import {
  add,
  concat,
  fusedMatmul,
  type Graph,
  gather,
  multiply,
  reshape,
  slice,
  softcap,
  softmax,
  type Value,
} from "../../graph/index.ts"
import type { ModelConfig } from "../../models/config.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import type { KeptRows, Rows } from "../../models/training/attention.ts"
import { type TrainingView, trainingView } from "../../models/training/view.ts"
import type { WeightSource } from "../../models/weights.ts"
import { mapName, offsetName } from "./maps.ts"
import type { TransferStop } from "./pseudo-rows.ts"

/** Sizes of a sample. */
export interface Shape {
  readonly stops: readonly TransferStop[]
  readonly steps: number
  readonly length: number
  readonly anchors: number
}

/** Where the graph finds its parameters, and its batch (packs.ts). */
interface Inputs {
  readonly graph: Graph
  parameter(name: string): Value
  batch(name: string): Value
}

export interface TransferGraphParts {
  readonly target: { readonly config: ModelConfig; readonly weights: WeightSource }
  /** Of each stop. */
  readonly scales: readonly Float32Array[]
  readonly vocabulary: Int32Array
  readonly shape: Shape
}

/**
 * What pseudo rows say, and what the rows that know the answer say: [batch · steps · anchors, vocabulary].
 * Only pseudo rows depend on parameters, so nothing flows back through the rows of the text.
 */
export function transferGraph(inputs: Inputs, parts: TransferGraphParts): { logits: Value; teacher: Value } {
  const { graph, batch } = inputs
  const { target, scales, vocabulary, shape } = parts
  const { steps, anchors } = shape
  const view = trainingView(graph, target)
  const head = draftHead(graph, target, vocabulary)
  const size = batch("tokens").shape[0] as number
  const { entering, kept, last } = realRows(inputs, view, shape)
  const teacher = softmax(head(gather(view.norm(last), batch("teachers"))))

  let rows: Value | undefined // [batch, begun · anchors, hidden]
  for (const [i, stop] of shape.stops.entries()) {
    const begun = beginRows(inputs, { x: gather(entering[i]!, batch("anchors")), scales: scales[i]!, stop, size })
    rows = rows ? concat([rows, begun], 1) : begun
    const [, count, hidden] = rows.shape as [number, number, number]
    const columns = shape.length + count
    const span: Rows = {
      batch: size,
      length: count,
      positions: slice(batch("pseudoPositions"), 1, 0, count),
      mask: slice(slice(batch("pseudoMask"), 1, 0, count), 2, 0, columns),
      past: kept,
    }
    const after = view.layers(reshape(rows, [size * count, hidden]), [stop.layer, stop.next], span)
    rows = reshape(after, [size, count, hidden])
  }
  return { logits: head(view.norm(reshape(rows!, [size * steps * anchors, -1]))), teacher }
}

/** The text through all layers: what enters each stop, keys and values from the first stop on, and the last states. */
function realRows({ batch }: Inputs, view: TrainingView, { stops, length }: Shape) {
  const tokens = batch("tokens")
  const rows: Rows = {
    batch: tokens.shape[0] as number,
    length,
    positions: batch("positions"),
    mask: batch("mask"),
  }
  const kept: KeptRows = new Map()
  let x = view.layers(view.embed(tokens), [0, stops[0]!.layer], rows)
  const entering: Value[] = []
  for (const { layer, next } of stops) {
    entering.push(x)
    x = view.layers(x, [layer, next], { ...rows, keep: kept })
  }
  return { entering, kept, last: x }
}

interface Beginning {
  /** Anchors' states [batch · anchors, hidden] */
  readonly x: Value
  readonly scales: Float32Array
  readonly stop: TransferStop
  readonly size: number
}

/** Pseudo rows of the steps that begin at a stop: [batch, count · anchors, hidden] */
function beginRows({ graph, parameter }: Inputs, { x, scales, stop, size }: Beginning): Value {
  const hidden = scales.length
  const row = (name: string, values: Float32Array) =>
    graph.weight(name, "float32", [1, hidden], () => new Uint8Array(values.buffer))
  const scale = row(`scale${stop.layer}`, scales)
  const inUnits = multiply(
    x,
    row(
      `unit${stop.layer}`,
      scales.map((value) => 1 / value),
    ),
  )
  const steps = Array.from({ length: stop.count }, (_, j) => stop.before + j + 1)
  const begun = steps.map((step) => {
    const product = fusedMatmul(inUnits, parameter(mapName(step)), { transB: true })
    const moved = multiply(add(product, parameter(offsetName(step))), scale)
    return reshape(add(x, moved), [size, -1, hidden])
  })
  return concat(begun, 1)
}

/** The frozen head's rows of the tokens that are drafted. */
function draftHead(graph: Graph, { config, weights }: TransferGraphParts["target"], vocabulary: Int32Array) {
  const matrix = graph.weight("draft head", "float32", [vocabulary.length, config.hidden], () => {
    const { buffer } = createHeadRows(config, weights)(vocabulary)
    return new Uint8Array(buffer)
  })
  return (x: Value): Value => {
    const logits = fusedMatmul(x, matrix, { transB: true })
    return config.logitSoftcap === undefined ? logits : softcap(logits, config.logitSoftcap)
  }
}
