/** Facts about what just happened while decoding: plain data, JSON-safe, noun then verb. Replaying them gives the outcome. */
import type { CandidateTree } from "./candidate-tree.ts"
import type { TokenLogprob } from "./logprobs.ts"

export interface Token {
  readonly id: number
  /** Natural logarithm of the model's own probability, when logprobs were asked for. */
  readonly logprob?: number
  readonly top?: readonly TokenLogprob[]
}

/** Why a draft is what it is. */
export interface DraftDecision {
  /** Names of the drafters whose tokens it holds. */
  readonly from: readonly string[]
  readonly why: "worth-its-rows" | "not-worth-its-rows" | "nothing-drafted"
}

export type Step =
  | { readonly type: "prompt-read"; readonly tokens: number; readonly total: number }
  | {
      readonly type: "draft-proposed"
      readonly branch: number
      readonly tree: CandidateTree
      /** Nodes that come from the text the caller expects, where the method drafts from one. */
      readonly predicted?: readonly number[]
      /** Of methods that choose among drafters. */
      readonly decision?: DraftDecision
    }
  | {
      readonly type: "draft-verified"
      readonly branch: number
      /** Drafted tokens that are kept: nodes of the tree before it, from below the pending token. */
      readonly path: readonly number[]
      readonly accepted: number
      /** The target's token where the draft had others, or where it had no more. Neither, if the run ended before it. */
      readonly recovered?: Token
      readonly bonus?: Token
    }
  | {
      readonly type: "tokens-committed"
      readonly branch: number
      readonly positions: readonly number[]
      readonly tokens: readonly Token[]
    }
  | { readonly type: "branch-started" | "branch-ended"; readonly branch: number; readonly reason?: string }
  /** Scores of what is being judged (candidates, first tokens), by name; a later one replaces an earlier. */
  | { readonly type: "scores-updated"; readonly scores: Readonly<Record<string, number>> }

/** What `stream` adds to a method's own steps: text that is certain, in whole characters. */
export type StreamEvent = Step | TextAppended

export interface TextAppended {
  readonly type: "text-appended"
  readonly branch: number
  readonly text: string
  /** It came from draft tokens that were accepted. */
  readonly drafted?: true
}
