/** What a feature drafter is trained towards: the target's laws, and a little its features. */
import {
  add,
  concat,
  expand,
  fusedMatmul,
  gather,
  multiply,
  reduceMean,
  reshape,
  slice,
  softmax,
  topK,
  type Value,
} from "../../graph/index.ts"
import type { DrafterWeights } from "../../models/drafter/layer.ts"
import { type DrafterSizes, readsInputs } from "../../models/drafter/sizes.ts"
import { hits, mean, smoothL1, softCrossEntropy } from "../losses.ts"
import type { Losses, LossInputs } from "../recipe.ts"
import type { InputScales } from "./fit-start.ts"
import { glanced, glancedShare, rest } from "./glancing.ts"
import { unrolled } from "./unrolled.ts"

export interface DrafterLossOptions {
  readonly sizes: DrafterSizes
  /** Rows of the target's head for the tokens that are drafted [vocabulary · hidden]. */
  readonly head: Float32Array
  readonly scales: InputScales
  /** Passes: the first on the target's features, the others on what the drafter predicted before. */
  readonly unroll: number
  /** Weight of the features' own distance beside the laws'. */
  readonly featureWeight: number
  /** Whether a first look says which rows are given their answers. */
  readonly glances: boolean
}

/** Each further pass counts this much less. */
const passDecay = 0.8

/** The batch is drafterBatches' (batches.ts) and `rate`, glancing's λ. */
export function drafterLoss(inputs: LossInputs, options: DrafterLossOptions): Losses {
  const { graph, batch } = inputs
  const { sizes, head, scales, unroll, featureWeight } = options
  const { hidden, span } = sizes
  const [samples, wide] = batch("features").shape as [number, number, number]
  const rows = wide - span
  const table = graph.weight("head", "float32", [head.length / hidden, hidden], () => bytesOf(head))
  const law = (x: Value) => fusedMatmul(x, table, { transB: true })
  const picked = (x: Value) => gather(x, batch("picked"))
  const [counts, number] = [batch("counts"), (value: number) => graph.scalar("float32", value)]
  const target = picked(reshape(slice(batch("features"), 1, span, wide), [samples * rows, hidden]))
  const teacher = law(target)

  const weights = trainedWeights(inputs, scales, hidden)
  const given = { embedded: batch("embedded"), features: batch("features"), order: batch("order"), span }
  const run = (share: Value | undefined, passes: number) => {
    const windows = { batch: samples, length: rows, ...glanced({ ...given, share }) }
    return unrolled(sizes, weights, windows, passes).map(picked)
  }
  let share: Value | undefined
  if (options.glances && span > 1) {
    const best = reshape(topK(teacher, graph.constant("int64", [1], [1]), 1).indices, [-1])
    const found = mean(hits(law(run(undefined, 1)[0]!), best), counts)
    share = glancedShare(reshape(batch("rate"), []), rest(found), span)
  }
  const passes = run(share, unroll).map((predicted) => ({ predicted, logits: law(predicted) }))
  const losses = passes.map(({ predicted, logits }) => {
    const unit = (x: Value) => multiply(x, number(scales.features))
    const distance = reduceMean(smoothL1(unit(predicted), unit(target)), 1, false)
    const laws = mean(softCrossEntropy(logits, softmax(teacher)), counts)
    return add(laws, multiply(mean(distance, counts), number(featureWeight)))
  })
  const decays = losses.map((_, i) => passDecay ** i)
  const mass = decays.reduce((sum, decay) => sum + decay, 0)
  const right = (logits: Value) => mean(multiply(hits(logits, batch("label")), batch("inside")), counts)
  return {
    loss: losses.map((loss, i) => multiply(loss, number(decays[i]! / mass))).reduce((sum, part) => add(sum, part)),
    metrics: { accuracy: right(passes[0]!.logits), later: right(passes.at(-1)!.logits) },
  }
}

/** Parameters as the layer wants them; what reads embeddings and features gets them scaled. */
function trainedWeights({ graph, parameter }: LossInputs, scales: InputScales, hidden: number): DrafterWeights {
  const factor = (value: number) => expand(graph.scalar("float32", value), [hidden])
  const factors = {
    both: concat([factor(scales.embedded), factor(scales.features)], 0),
    features: factor(scales.features),
  }
  return {
    linear(x, name) {
      const reads = inputsOf(name)
      return fusedMatmul(reads ? multiply(x, factors[reads]) : x, parameter(name), { transB: true })
    },
    vector: parameter,
  }
}

/** Which inputs a matrix's columns belong to: an embedding and a feature side by side, or a feature alone. */
export function inputsOf(name: string): "both" | "features" | undefined {
  if (readsInputs.has(name)) return "both"
  return name === "featureMap.weight" ? "features" : undefined
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
