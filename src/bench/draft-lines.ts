/** What a draft model proposes from every place of a known answer: made once, replayed under any policy. */

import type { HeadRow } from "../methods/specdec-plus-plus/labels.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import type { DraftedAnswer, DraftedLine } from "./draft-replay.ts"

export interface KnownAnswer {
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
}

/** @param reach longest line, in tokens */
export async function recordAnswer(draft: ModelRunner, known: KnownAnswer, reach: number): Promise<DraftedAnswer> {
  const { prompt, answer } = known
  const lines: DraftedLine[] = []
  const cache = draft.openCache()
  try {
    const read = async (tokens: readonly number[], past = cache) => {
      const want = { logits: "last", top: 1, hidden: ["final"] } as const
      const pass = await draft.forward({ input: { tokens: Int32Array.from(tokens) }, cache: past, want })
      pass.keep(tokens.map((_, row) => row))
      const { ids, values, logMasses } = pass.top!
      const confidence = Math.exp(values[0]! - logMasses[0]!)
      return { token: ids[0]!, confidence, hidden: pass.hidden.get("final")!.data.slice(-draft.config.hidden) }
    }
    for (let place = 0; place < answer.length - 1; place++) {
      let last = await read(place === 0 ? [...prompt, answer[0]!] : [answer[place]!])
      const scratch = cache.fork()
      try {
        const drafted: DraftedLine["drafted"][number][] = []
        let right = 0
        while (drafted.length < Math.min(reach, answer.length - 1 - place)) {
          const { token, confidence, hidden } = last
          drafted.push({ confidence: () => confidence, hidden })
          if (right === drafted.length - 1 && token === answer[place + drafted.length]) right++
          last = await read([token], scratch)
        }
        lines.push({ right, drafted })
      } finally {
        scratch.dispose()
      }
    }
  } finally {
    cache.dispose()
  }
  return { tokens: answer.length, lineFrom: (place) => lines[place]! }
}

/** The same with nothing drafted that is wrong: what a policy that knew the answer would draft. */
export const foreseen = (answer: DraftedAnswer): DraftedAnswer => ({
  tokens: answer.tokens,
  lineFrom(place) {
    const { right, drafted } = answer.lineFrom(place)
    return { right, drafted: drafted.slice(0, right) }
  },
})

/** A drafted token behind right ones only: others have no outcome. */
export interface JudgedToken {
  /** Of the row that judges it. */
  readonly hidden: Float32Array
  /** Whether it was right. */
  readonly happened: boolean
}

/** Every token that a head could be asked about and that a pass of the target would judge. */
export const judgedTokens = (answers: readonly DraftedAnswer[], row: HeadRow = "reads"): JudgedToken[] =>
  answers.flatMap(({ tokens, lineFrom }) =>
    Array.from({ length: tokens - 1 }, (_, place) => lineFrom(place)).flatMap(({ right, drafted }) =>
      // Token i is read by the row that drafted the next.
      (row === "reads" ? drafted.slice(1, right + 2) : drafted.slice(0, right + 1)).map(({ hidden }, i) => ({
        hidden: hidden!,
        happened: right > i,
      })),
    ),
  )

export interface Calibration {
  /** Mean distance of prediction and outcome over ten bins of equal width, by their share (ECE). */
  readonly error: number
  /** Of bins that are not empty, from the lowest. */
  readonly bins: readonly { readonly predicted: number; readonly happened: number; readonly count: number }[]
}

export function calibration(pairs: readonly { readonly predicted: number; readonly happened: boolean }[]): Calibration {
  const sums = Array.from({ length: 10 }, () => ({ predicted: 0, happened: 0, count: 0 }))
  for (const { predicted, happened } of pairs) {
    const bin = sums[Math.min(9, Math.floor(predicted * 10))]!
    bin.predicted += predicted
    bin.happened += happened ? 1 : 0
    bin.count++
  }
  const bins = sums
    .filter(({ count }) => count > 0)
    .map(({ predicted, happened, count }) => ({ predicted: predicted / count, happened: happened / count, count }))
  const error = bins.reduce((sum, bin) => sum + (bin.count / pairs.length) * Math.abs(bin.predicted - bin.happened), 0)
  return { error, bins }
}
