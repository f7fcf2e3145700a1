/** Drafts n-grams from a pool that the same passes fill: beside the draft, each verifies nothing but refines a window. */
import { emptyTree } from "../../decoding/candidate-tree.ts"
import type { Drafter } from "../../decoding/speculate.ts"
import { blockSize } from "../../models/builder.ts"
import type { ForwardPass, ForwardResult, Matrix, ModelRunner } from "../../runtime/pass.ts"
import { argmax } from "../../tensor/math.ts"
import { createGramPool, treeOf } from "./gram-pool.ts"
import { advance, emptyWindow, gramsOf, isFull, type Window, type WindowSize, windowRows } from "./window.ts"

export interface LookaheadParts extends WindowSize {
  readonly target: ModelRunner
  /** G: n-grams kept, and drafted, for each first token. */
  readonly guesses: number
  /** Fills the pool with the prompt's own n-grams. */
  readonly prompt: ArrayLike<number> | undefined
  /** A token to begin the window with: any will do. */
  readonly token: () => number
}

export function createLookaheadDrafter(parts: LookaheadParts): Drafter {
  const { target, level, prompt } = parts
  const pool = createGramPool(parts.guesses)
  let window = emptyWindow(parts, parts.token)
  const length = level - 1
  for (let i = 0; prompt && i + length < prompt.length; i++)
    pool.add(
      prompt[i]!,
      Array.from({ length }, (_, j) => prompt[i + 1 + j]!),
    )

  return {
    async propose({ tokens, room }) {
      const grams = pool.after(tokens.at(-1)!)
      return { tree: grams.length === 0 ? emptyTree : treeOf(grams, room) }
    },
    async verify(pass) {
      const whole = withWindow(pass, window, target.config.context)
      if (!whole) return target.forward(pass)
      const result = await target.forward(whole.pass)
      const guesses = whole.lastRow.map((_, i) => argmax(rowOf(result.logits!, whole.rows + i)))
      const pending = tokensOf(pass)[0]!
      if (isFull(window, parts)) for (const { key, gram } of gramsOf(window, pending, guesses)) pool.add(key, gram)
      window = advance(window, guesses, parts)
      return firstRows(result, whole.rows)
    },
  }
}

const tokensOf = ({ input }: ForwardPass): Int32Array => ("tokens" in input ? input.tokens : new Int32Array(0))

const rowOf = ({ data, columns }: Matrix, row: number) => data.subarray(row * columns, (row + 1) * columns)

/** The result as the pass without the window would have it: its rows come first. */
function firstRows(result: ForwardResult, rows: number): ForwardResult {
  const { data, columns } = result.logits!
  return { ...result, logits: { data: data.subarray(0, rows * columns), rows, columns } }
}

export interface WidenedPass {
  readonly pass: ForwardPass
  /** Rows of the pass without the window; the logits of the window's last row follow theirs. */
  readonly rows: number
  readonly lastRow: readonly number[]
}

/** undefined when the window does not fit into the block of 128 beside the draft, or reaches past the context. */
export function withWindow(pass: ForwardPass, window: Window, context: number): WidenedPass | undefined {
  const past = pass.cache?.length ?? 0
  const tokens = tokensOf(pass)
  const rows = tokens.length
  const { tokens: guessed, parents, offsets, last } = windowRows(window)
  const total = rows + guessed.length
  if ((past % blockSize) + total > blockSize || past + Math.max(...offsets) >= context) return undefined
  const above = (parent: number) => (parent < 0 ? 0 : rows + parent) // row 0 of the pass is the pending token
  const own = typeof pass.mask === "object" && "parents" in pass.mask ? pass.mask.parents : undefined
  const lastRow = guessed.slice(last).map((_, i) => rows + last + i)
  return {
    pass: {
      ...pass,
      input: { tokens: Int32Array.of(...tokens, ...guessed) },
      positions: Int32Array.of(
        ...(pass.positions ?? tokens.map((_, row) => past + row)),
        ...offsets.map((offset) => past + offset),
      ),
      mask: { parents: Int32Array.of(...(own ?? tokens.map((_, row) => row - 1)), ...parents.map(above)) },
      want: { ...pass.want, logits: [...tokens.keys(), ...lastRow] },
    },
    rows,
    lastRow,
  }
}
