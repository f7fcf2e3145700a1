/** Rules for when a draft ends as a picture: passes of the target for each token against discarded drafts for each. */
import { element, escapeText, line, linearScale, standalone, svg, text, ticks } from "../base/svg.ts"
import type { StoppingResult } from "./stopping.ts"
import type { StopRow } from "./stopping-policies.ts"

const [side, gap, top, left] = [300, 60, 78, 56]
const style = `text{font:12px system-ui,sans-serif;fill:#667}.name{font-weight:600}.grid{stroke:#8884}path{fill:none;stroke-width:1.5}
.fixed{stroke:#8a8f98}.head{stroke:#2a6fdb;stroke-width:2.5}.cumulative{stroke:#d9642a;stroke-dasharray:5 3}circle{stroke:none}
circle.fixed{fill:#8a8f98}circle.head{fill:#2a6fdb}circle.oracle{fill:#3b8f5a}`

const shown = [
  ["fixed", "fixed lengths, K at the points"],
  ["head", "the head, by threshold"],
  ["cumulative", "product of the draft model's confidences"],
] as const

/** The held-out answers, and the worlds whose chances are known. */
export function stoppingMap({ method, rows, worlds, longest }: StoppingResult): string {
  const panels = [{ name: "held-out answers", rows }, ...worlds]
  const widest = Math.max(...panels.flatMap((panel) => panel.rows.filter(isShown).map(({ discarded }) => discarded)))
  const most = Math.min(4, widest) // beyond it curves are flat
  const drawn = panels.map(({ name, rows: each }, i) => panel(name, each, { most, from: left + i * (side + gap) }))
  const width = left + panels.length * (side + gap)
  const keys = shown.map(([family, name], i) => {
    const x = left + 270 * i
    return element("path", { d: `M${x} 14h22`, class: family }) + text(x + 28, 18, name)
  })
  const oracle = element("circle", { cx: left + 821, cy: 14, r: 4, class: "oracle" }) + text(left + 830, 18, "oracle")
  const title = `${method}: when to stop drafting, up to ${longest} tokens`
  const y = text(left - 44, top - 30, "passes of the target for each token (v); left and below is better")
  return standalone(
    svg(width, top + side + 52, title, `<style>${style}</style>${keys.join("")}${oracle}${y}${drawn.join("")}`),
  )
}

const isShown = ({ family }: StopRow): boolean => family === "oracle" || shown.some(([name]) => name === family)

function panel(
  name: string,
  rows: readonly StopRow[],
  place: { readonly most: number; readonly from: number },
): string {
  const { most, from } = place
  const bottom = top + side
  const x = linearScale(0, most, from, from + side)
  const y = linearScale(0, 1, bottom, top)
  const inside = rows.filter(({ discarded }) => discarded <= most * 1.0001)
  const of = (family: StopRow["family"]) =>
    inside.filter((row) => row.family === family).sort((a, b) => a.discarded - b.discarded)
  const grid = [
    ...ticks(0, most, 4)
      .filter((at) => at <= most)
      .map((at) => line(x(at), top, x(at), bottom, "grid") + text(x(at), bottom + 18, at, { "text-anchor": "middle" })),
    ...[0, 0.2, 0.4, 0.6, 0.8, 1].map(
      (at) => line(from, y(at), from + side, y(at), "grid") + text(from - 8, y(at) + 4, at, { "text-anchor": "end" }),
    ),
  ]
  const curves = shown.map(([family]) => {
    const points = of(family).map((row) => `${x(row.discarded).toFixed(1)} ${y(row.verified).toFixed(1)}`)
    return points.length === 0 ? "" : element("path", { d: `M${points.join("L")}`, class: family })
  })
  const dots = [...of("fixed"), ...of("head"), ...of("oracle")].map(({ family, setting, verified, discarded }) => {
    const what = `${family} ${setting}: v ${verified.toFixed(3)}, d ${discarded.toFixed(3)}`
    const dot = { cx: x(discarded), cy: y(verified), r: family === "oracle" ? 4 : 2.5, class: family }
    return element("circle", dot, `<title>${escapeText(what)}</title>`)
  })
  const labels = of("fixed").map(({ setting, discarded, verified }) => text(x(discarded) + 4, y(verified) - 6, setting))
  const names =
    text(from + side / 2, top - 10, name, { "text-anchor": "middle", class: "name" }) +
    text(from + side / 2, bottom + 38, "discarded drafts for each token (d)", { "text-anchor": "middle" })
  return [...grid, ...curves, ...labels, ...dots, names].join("")
}
