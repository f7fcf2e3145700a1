/** The hidden states of a prompt's last rows, kept while it is read in chunks. */
import type { ForwardResult } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import type { ShadowRows } from "./shadow-tokens.ts"

export function createPromptTail(count: number): {
  push(hidden: ForwardResult["hidden"]): void
  rows(): ShadowRows | undefined
} {
  const states = new Map<number, Float32Array>()
  return {
    push(hidden) {
      for (const [layer, { data, columns }] of hidden) {
        if (layer === "final") continue
        const all = concatenate([states.get(layer) ?? new Float32Array(0), data], Float32Array)
        states.set(layer, all.slice(Math.max(0, all.length - count * columns)))
      }
    },
    /** undefined when no states were asked for. */
    rows: () => (states.size === 0 ? undefined : { states, targets: undefined }),
  }
}
