/** Synthetic texts as training data: each drawn from a seed when it is needed, none kept. */
import { ForerunError } from "../../base/errors.ts"
import type { Random } from "../../tensor/random.ts"
import type { BatchTensor, Data } from "../recipe.ts"
import type { TinyTokenizer } from "./tokenizer.ts"

/** What is asked, and an answer drawn from the law that the model is to learn. */
export interface Lesson {
  readonly question: string
  readonly answer: string
  /** −ln of the answer's probability under that law, end included: no model's mean loss is lower. */
  readonly surprise: number
}

export interface Lessons {
  readonly tokenizer: TinyTokenizer
  /** Tokens in a row; shorter texts are padded. */
  readonly length: number
  readonly samples: number
  /** Sample i is a function of this stream and of i. */
  readonly random: Random
  draw(random: Random): Lesson
}

/**
 * `tokens` int64 [batch, length]; for each row of it, `labels` int64 (the next token) and `weight` float32 (1 where that is
 * the answer's or the end, else 0), [batch · length]; `surprise` float32 [batch].
 */
export function lessons({ tokenizer, length, samples, random, draw }: Lessons): Data {
  const { tokenizer: text, end } = tokenizer
  return {
    samples,
    batch(indices) {
      const count = indices.length * length
      const [tokens, labels] = [new BigInt64Array(count).fill(BigInt(end)), new BigInt64Array(count).fill(BigInt(end))]
      const [weight, surprise] = [new Float32Array(count), new Float32Array(indices.length)]
      for (const [row, index] of indices.entries()) {
        const lesson = draw(random.fork(index))
        const [asked, said] = [text.encode(lesson.question), text.encode(lesson.answer)]
        const ids = [...asked, ...said, end]
        if (ids.length > length + 1)
          throw new ForerunError("E_INTERNAL", `a lesson has ${ids.length} tokens, its row ${length + 1}`)
        surprise[row] = lesson.surprise
        for (let i = 0; i + 1 < ids.length; i++) {
          tokens[row * length + i] = BigInt(ids[i]!)
          labels[row * length + i] = BigInt(ids[i + 1]!)
          weight[row * length + i] = i + 1 >= asked.length ? 1 : 0
        }
      }
      const ints = (data: BigInt64Array, shape: readonly number[]): BatchTensor => ({ type: "int64", shape, data })
      return {
        tensors: {
          tokens: ints(tokens, [indices.length, length]),
          labels: ints(labels, [count]),
          weight: { type: "float32", shape: [count], data: weight },
          surprise: { type: "float32", shape: [indices.length], data: surprise },
        },
        tokens: weight.reduce((sum, one) => sum + one, 0),
      }
    },
  }
}
