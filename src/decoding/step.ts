/** Facts about what just happened while decoding: plain data, JSON-safe, noun then verb. Replaying them gives the outcome. */
import type { TokenLogprob } from "./logprobs.ts"

export interface Token {
  readonly id: number
  /** Natural logarithm of the model's own probability, when logprobs were asked for. */
  readonly logprob?: number
  readonly top?: readonly TokenLogprob[]
}

export type Step =
  | { readonly type: "prompt-read"; readonly tokens: number; readonly total: number }
  | {
      readonly type: "tokens-committed"
      readonly branch: number
      readonly positions: readonly number[]
      readonly tokens: readonly Token[]
    }
  | { readonly type: "branch-started" | "branch-ended"; readonly branch: number; readonly reason?: string }

/** What `stream` adds to a method's own steps: text that is certain, in whole characters. */
export type StreamEvent = Step | { readonly type: "text-appended"; readonly branch: number; readonly text: string }
