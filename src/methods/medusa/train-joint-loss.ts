/** The loss of joint training: how far the target strays from what it was, and what its heads say of the tokens ahead. */
import { add, gather, multiply, reshape, slice, topK, type Value } from "../../graph/index.ts"
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import { trainingView } from "../../models/training/view.ts"
import { pickRows } from "../../train/answers.ts"
import { divergence, hits, mean } from "../../train/losses.ts"
import { besideBy, type Change } from "../../train/low-rank.ts"
import type { Batch, Data, Losses, LossInputs } from "../../train/recipe.ts"
import { draftLogits, type HeadOptions, type HeadRows, headLosses, type Sizes } from "./train-heads.ts"

interface BatchOptions {
  readonly heads: number
  /** Rows of a batch with a loss. */
  readonly picked: number
  readonly headsWeight: number
  /** constant or sine. */
  readonly course: string
  /** Token → its place among those drafted, −1 for those that are not. */
  readonly places: Int32Array
}

/**
 * To windows with `tokens` and `weight`: `picked` int64 [picked], rows whose next token belongs to the answer, and
 * `counts` [picked], 0 where there were no more; for head k (from 0) at each of them `labels` int64 [heads, picked], the
 * place of the token k + 2 further, `laws`, the row whose law that token has, `known` and `weight`, 1 where the token can
 * be drafted and where it belongs to the answer; `share` [1], the heads' weight now.
 */
export function jointBatches(windows: Data, { heads, picked, headsWeight, course, places }: BatchOptions): Data {
  return {
    samples: windows.samples,
    batch(indices, random, progress): Batch {
      const { tensors } = windows.batch(indices, random.fork("windows"), progress)
      const length = tensors.tokens!.shape[1] as number
      const tokens = tensors.tokens!.data as BigInt64Array
      const belongs = tensors.weight!.data as Float32Array
      const rows = pickRows(belongs, { length, picked }, random.fork("rows"))
      const size = heads * picked
      const [labels, laws] = [new BigInt64Array(size), new BigInt64Array(size)]
      const [known, weight] = [new Float32Array(size), new Float32Array(size)]
      for (let head = 0; head < heads; head++)
        for (const [i, row] of rows.entries()) {
          const ahead = head + 2
          if ((row % length) + ahead >= length || belongs[row + ahead] !== 1) continue
          const at = head * picked + i
          const place = places[Number(tokens[row + ahead]!)]!
          labels[at] = BigInt(Math.max(0, place))
          laws[at] = BigInt(row + ahead - 1)
          known[at] = place < 0 ? 0 : 1
          weight[at] = 1
        }
      const rise = course === "sine" && progress !== undefined ? Math.sin((Math.PI / 2) * progress) : 1
      const shape = [heads, picked]
      return {
        tensors: {
          tokens: tensors.tokens!,
          picked: {
            type: "int64",
            shape: [picked],
            data: BigInt64Array.from({ length: picked }, (_, i) => BigInt(rows[i] ?? 0)),
          },
          counts: {
            type: "float32",
            shape: [picked],
            data: Float32Array.from({ length: picked }, (_, i) => (i < rows.length ? 1 : 0)),
          },
          labels: { type: "int64", shape, data: labels },
          laws: { type: "int64", shape, data: laws },
          known: { type: "float32", shape, data: known },
          weight: { type: "float32", shape, data: weight },
          share: { type: "float32", shape: [1], data: Float32Array.of(headsWeight * rise) },
        },
        tokens: rows.length,
      }
    },
  }
}

interface Joint {
  readonly target: Pick<Checkpoint, "config" | "weights">
  readonly options: HeadOptions
  readonly sizes: Sizes
  readonly changes: readonly Change[]
}

/**
 * KL(the target as it was ‖ as it is) + share · Σ falloffᵏ · the loss of head k. The teacher reads the same windows in the
 * same pass: states from the disk have seen all of a prompt, of which a window may show nothing, and the change would
 * learn to make up for that.
 */
export function jointLoss(inputs: LossInputs, { target, options, sizes, changes }: Joint): Losses {
  const { graph, parameter, batch } = inputs
  const tokens = batch("tokens")
  const [samples, length] = tokens.shape as [number, number]
  const frozen = trainingView(graph, target)
  const rows = { batch: samples, length }
  const finalStates = (view: typeof frozen) =>
    view.norm(view.layers(view.embed(tokens), [0, target.config.layers], rows))
  const before = finalStates(frozen)
  const picked = gather(finalStates(frozen.with(besideBy(changes, parameter))), batch("picked"))
  const teacher = frozen.head(gather(before, batch("picked")))
  const student = frozen.head(picked)

  const logits = draftLogits(inputs, options, sizes)
  const heads = Array.from({ length: options.heads }, (_, head): HeadRows => {
    const own = (name: string): Value => reshape(slice(batch(name), 0, head, head + 1), [-1])
    return {
      logits: logits.head(picked, head),
      teacher: logits.target(gather(before, own("laws"))),
      labels: own("labels"),
      known: own("known"),
      weight: own("weight"),
    }
  })
  const { loss, metrics } = headLosses(heads, options)
  const counts = batch("counts")
  const strayed = mean(divergence(teacher, student), counts)
  const best = reshape(topK(teacher, graph.constant("int64", [1], [1]), 1).indices, [-1])
  return {
    loss: add(strayed, multiply(loss, reshape(batch("share"), []))),
    metrics: { ...metrics, divergence: strayed, agreement: mean(hits(student, best), counts) },
  }
}
