/** The device report as tables: where a round's time goes, what was predicted of it, and what would be chosen elsewhere. */
import type { PlacementResult } from "./placement.ts"
import type { Table } from "./tables.ts"

/** One row for each budget and depth that was run. */
export function placementTable(records: readonly PlacementResult[]): Table {
  const rows = records.flatMap(({ method, weights, threads, device, grid }) =>
    grid.map(({ depth, nodes, tokens, phases, speedup, predicted, overlapped }) => [
      `${method}, ${weights}, ${threads}, draft on ${device}`,
      `${depth}`,
      `${nodes}`,
      tokens.toFixed(2),
      phases.draft.toFixed(1),
      phases.transfer.toFixed(1),
      phases.verify.toFixed(1),
      phases.rest.toFixed(1),
      speedup.toFixed(2),
      predicted.toFixed(2),
      overlapped === undefined ? "–" : overlapped.toFixed(2),
    ]),
  )
  const phases = ["drafting, ms a round", "transfer", "target", "rest"]
  const head = ["method, weights, threads", "depth", "nodes", "tokens a round", ...phases]
  return { head: [...head, "speed beside plain", "predicted", "with overlap"], rows }
}

/** What the cost model would choose for each device ratio; for the devices that are here, how that was when measured. */
export function choiceTable(records: readonly PlacementResult[]): Table {
  const rows = records.flatMap(({ method, weights, threads, grid, choices }) =>
    choices.map(({ ratio, depth, rows: size, speedup }) => {
      const fastest = Math.max(...grid.map((row) => row.speedup))
      const found = grid.find((row) => row.depth === depth && row.nodes === size - 1)
      const checked =
        ratio !== 1 ? "–" : `${(found?.speedup ?? 1).toFixed(2)}; the fastest measured ${fastest.toFixed(2)}`
      const what = size === 1 ? ["–", "plain decoding"] : [`${depth}`, `${size}`]
      return [`${method}, ${weights}, ${threads}`, `${ratio}`, ...what, speedup.toFixed(2), checked]
    }),
  )
  const head = ["method, weights, threads", "draft's device is faster by", "depth", "rows verified", "speed predicted"]
  return { head: [...head, "measured"], rows }
}
