/** Answers cut into windows for a small model: every token of an answer is learned once, with some text before it. */
import type { Answered } from "./labels.ts"

export interface Window {
  readonly tokens: readonly number[]
  /** How much each token is learned as what follows those before it; 0 for the first. [tokens] */
  readonly weight: readonly number[]
  /** Which answer it is of, and where in prompt and answer it begins. */
  readonly answer: number
  readonly start: number
}

export interface WindowSettings {
  readonly length: number
  /** Tokens of the prompt that are learned too, before the answer, and with which weight. */
  readonly promptWeight: number
}

/** Windows overlap by a quarter, which is read again and not learned again. */
export function windowsOf(answers: readonly Answered[], { length, promptWeight }: WindowSettings): Window[] {
  const overlap = length >> 2
  return answers.flatMap(({ prompt, answer }, index) => {
    const whole = [...prompt, ...answer]
    const windows: Window[] = []
    let learned = Math.max(0, prompt.length - (length >> 1)) // all tokens before it are
    while (learned < whole.length) {
      const start = Math.max(0, learned - (windows.length === 0 ? 0 : overlap))
      const end = Math.min(whole.length, start + length)
      const weight = Array.from({ length: end - start }, (_, i) => {
        const at = start + i
        if (i === 0 || at < learned) return 0
        return at < prompt.length ? promptWeight : 1
      })
      windows.push({ tokens: whole.slice(start, end), weight, answer: index, start })
      learned = end
    }
    return windows
  })
}
