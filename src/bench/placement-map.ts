/** Where drafting on another device pays, as a map: tokens a round against the time of drafting, in plain passes. */
import { element, escapeText, line, linearScale, standalone, svg, text } from "../base/svg.ts"
import { tokensFor } from "../methods/dovetail/cost-model.ts"
import type { PlacementResult } from "./placement.ts"

const [width, height] = [860, 470]
const [left, right, top, bottom] = [56, 210, 56, height - 56]
const style = `text{font:12px system-ui,sans-serif;fill:#667}.grid{stroke:#8884}.level{fill:none;stroke:#2a6fdb;stroke-width:1.5}
.even{fill:none;stroke:#2a6fdb;stroke-width:2.5;stroke-dasharray:6 4}.here{fill:#d9642a}.far{fill:none;stroke:#d9642a;stroke-width:1.5}
.paper{fill:#3b8f5a}`

/** A setting of the paper: its speed as the spec has it; its place follows from its sizes, and is not measured. */
export interface PaperPlace {
  readonly name: string
  readonly speedup: number
  /** Drafting of a round and its verification, in plain passes. */
  readonly draft: number
  readonly verify: number
}

/**
 * Llama-2-7B, five layers and two tables: 1.34 of 6.74 G weights a pass. Memory gives a GTX 1050 112 GB/s and a RTX 2080
 * SUPER 496 GB/s, beside about 35 and 40 GB/s of their machines; the laptop's drafter has half the bytes (8 bits).
 */
export const paperPlaces: readonly PaperPlace[] = [
  { name: "paper's laptop (GTX 1050, 7 rows): 1.74", speedup: 1.74, draft: (5 * 0.2 * 35) / 112, verify: 1.5 },
  { name: "paper's desktop (RTX 2080 S, 16 rows): 3.08", speedup: 3.08, draft: (8 * 0.2 * 40) / 496, verify: 1.5 },
]

const levels = [1, 1.15, 1.5, 2, 3]

export function placementMap({ method, costs, grid, weights, threads }: PlacementResult): string {
  const { plain, verify, draftPass, transfer, rest } = costs
  const best = grid.reduce((a, b) => (b.speedup > a.speedup ? b : a))
  const verifyCost = (verify.base + verify.row * best.rows) / (verify.base + verify.row)
  const x = (draft: number) => linearScale(Math.log10(0.01), Math.log10(4), left, width - right)(Math.log10(draft))
  const y = linearScale(1, 6, bottom, top)
  const place = { passes: 1, deviceRatio: 1, verifyCost, transfer: (transfer + rest) / plain }
  const drafts = Array.from({ length: 60 }, (_, i) => 0.01 * 400 ** (i / 59))
  const curves = levels.map((speedup) => {
    const points = drafts
      .map((draftCost) => [x(draftCost), y(tokensFor(speedup, { ...place, draftCost }))] as const)
      .filter(([, py]) => py >= top)
    const path = points.map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("")
    if (points.length === 0) return "" // beyond the map
    const [px, py] = points.at(-1)!
    const label = text(px + 6, py + (py < top + 24 ? -6 : 4), `${speedup.toFixed(2)}×`)
    return element("path", { d: path, class: speedup === 1 ? "even" : "level" }) + label
  })
  const marks = [0.01, 0.03, 0.1, 0.3, 1, 3].map(
    (draft) =>
      line(x(draft), top, x(draft), bottom, "grid") + text(x(draft), bottom + 18, draft, { "text-anchor": "middle" }),
  )
  const rows = [1, 2, 3, 4, 5, 6].map(
    (tokens) =>
      line(left, y(tokens), width - right, y(tokens), "grid") +
      text(left - 10, y(tokens) + 4, tokens, { "text-anchor": "end" }),
  )
  const dot = (draft: number, tokens: number, kind: string, title: string) =>
    element(
      "circle",
      { cx: x(Math.min(4, Math.max(0.01, draft))), cy: y(Math.min(6, tokens)), r: 4, class: kind },
      `<title>${escapeText(title)}</title>`,
    )
  const ours = grid.map(({ depth, nodes, passes, tokens, speedup }) =>
    dot((passes * draftPass) / plain, tokens, "here", `depth ${depth}, ${nodes} nodes: ${speedup.toFixed(2)} measured`),
  )
  const faster = grid.map(({ depth, nodes, passes, tokens }) =>
    dot((passes * draftPass) / plain / 8, tokens, "far", `depth ${depth}, ${nodes} nodes, on a device 8 times as fast`),
  )
  const papers = paperPlaces.map(({ name, speedup, draft, verify: verifying }) => {
    const tokens = tokensFor(speedup, {
      passes: 1,
      draftCost: draft,
      deviceRatio: 1,
      verifyCost: verifying,
      transfer: 0,
    })
    return dot(draft, tokens, "paper", name) + text(x(draft) + 8, y(tokens) + 4, name)
  })
  const keys =
    element("circle", { cx: left + 8, cy: 14, r: 4, class: "here" }) +
    text(left + 18, 18, `${method}, ${weights}, ${threads} threads, as measured`) +
    element("circle", { cx: left + 288, cy: 14, r: 4, class: "far" }) +
    text(left + 298, 18, "the same drafter on a device 8 times as fast (by the model)")
  const names =
    text((left + width - right) / 2, bottom + 40, "drafting of a round, in plain passes of the target", {
      "text-anchor": "middle",
    }) + text(left - 44, top - 12, "tokens a round; lines: speed beside plain decoding")
  const content = [...rows, ...marks, ...curves, ...faster, ...ours, ...papers].join("")
  return standalone(
    svg(width, height, "Where drafting on another device pays", `<style>${style}</style>${keys}${names}${content}`),
  )
}
