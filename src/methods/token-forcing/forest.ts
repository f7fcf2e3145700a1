/** Greedy continuations of many first tokens over one shared beginning, a pass for all of them at each step. */
import { blockSize } from "../../models/builder.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { greedyToken } from "./score.ts"

export interface Continuation {
  readonly token: number
  readonly generated: readonly number[]
  /** Probability of each generated token. */
  readonly probs: readonly number[]
}

/** So many first tokens fit into one block of the cache, in which a row has the same bits whoever its mates are. */
export const forestRoom = (past: number, steps: number): number =>
  Math.max(1, Math.floor((blockSize - (past % blockSize)) / steps))

/**
 * All branches lie in one cache; a mask lets each see the beginning and itself alone. `past` is not written.
 * @param tokens at most `forestRoom` of them
 */
export async function greedyForest(
  runner: ModelRunner,
  past: KvCache,
  tokens: readonly number[],
  steps: number,
): Promise<Continuation[]> {
  const branches = tokens.map((token) => ({ token, generated: [] as number[], probs: [] as number[] }))
  const width = branches.length
  const { vocabulary } = runner.config
  const cache = past.fork()
  try {
    let input = Int32Array.from(tokens)
    for (let step = 0; step < steps; step++) {
      const pass = await runner.forward({
        input: { tokens: input },
        positions: new Int32Array(width).fill(past.length + step),
        mask: forestMask(width, past.length, step),
        cache,
        want: { logits: "all" },
      })
      if (step + 1 < steps) pass.keep(branches.map((_, row) => row))
      for (const [row, branch] of branches.entries()) {
        const { id, prob } = greedyToken(pass.logits!.data.subarray(row * vocabulary, (row + 1) * vocabulary))
        branch.generated.push(id)
        branch.probs.push(prob)
      }
      input = Int32Array.from(branches, ({ generated }) => generated[step]!)
    }
    return branches
  } finally {
    cache.dispose()
  }
}

/** Columns: the shared beginning, then `step` rounds of a row a branch, then this round. */
function forestMask(width: number, past: number, step: number) {
  const columns = past + (step + 1) * width
  const data = new Uint8Array(width * columns)
  for (let row = 0; row < width; row++) {
    data.fill(1, row * columns, row * columns + past)
    for (let round = 0; round <= step; round++) data[row * columns + past + round * width + row] = 1
  }
  return { rows: width, columns, data }
}
