/** What holds a changed model to what it was: its laws over windows of its own answers, which say nothing of the text. */
import { ForerunError } from "../../base/errors.ts"
import { add, multiply, reshape, type Value } from "../../graph/index.ts"
import type { TrainingView } from "../../models/training/view.ts"
import type { Random } from "../../tensor/random.ts"
import { readAnswers } from "../../train/answers.ts"
import { divergence, mean } from "../../train/losses.ts"
import type { Data } from "../../train/recipe.ts"

export interface KeptWindows {
  readonly vocabulary: number
  /** Windows in a batch, and tokens in a window. */
  readonly windows: number
  readonly length: number
}

/**
 * Draws windows of training answers that begin anywhere, in a question as well: an audit reads texts without their
 * beginning too. @returns int64 [windows, length]; undefined without paths. @throws E_IO, E_INPUT
 */
export function keptWindows(paths: readonly string[], { vocabulary, windows, length }: KeptWindows) {
  if (paths.length === 0) return undefined
  const texts = readAnswers(paths, { vocabulary })
    .training.map(({ prompt, answer }) => [...prompt, ...answer])
    .filter((text) => text.length >= length)
  if (texts.length === 0) throw new ForerunError("E_INPUT", `no answer has the ${length} tokens of a window`)
  return (random: Random) => {
    const below = (count: number) => Math.floor(random.next() * count)
    const drawn = Array.from({ length: windows }, () => {
      const text = texts[below(texts.length)]!
      const start = below(text.length - length + 1)
      return text.slice(start, start + length)
    })
    return { type: "int64", shape: [windows, length], data: BigInt64Array.from(drawn.flat(), BigInt) } as const
  }
}

/** The batches of `data`, each with such windows beside it as `kept`. */
export function withKept(data: Data, draw: NonNullable<ReturnType<typeof keptWindows>>): Data {
  return {
    samples: data.samples,
    batch(indices, random, progress) {
      const { tensors, tokens } = data.batch(indices, random, progress)
      return { tensors: { ...tensors, kept: draw(random.fork("kept")) }, tokens }
    },
  }
}

/** KL(the model as it was ‖ as it is), a mean over the windows' rows. */
export function strayed(view: TrainingView, kept: Value): Value {
  return mean(divergence(view.unchanged().forward(kept).logits, view.forward(kept).logits))
}

/** A loss and `weight` times another, both of one number. */
export const plus = (loss: Value, other: Value, weight: number): Value =>
  add(reshape(loss, []), multiply(reshape(other, []), loss.graph.scalar("float32", weight)))
