/** When each device worked, as a picture: a lane for each role, in strips from top to bottom. */
import { element, line, linearScale, standalone, svg, text, ticks } from "../../base/svg.ts"
import type { TimelineSpan } from "../../generate/phases.ts"

const width = 960
const [left, right, top] = [64, 16, 30]
const laneHeight = 16
const stripHeight = 2 * laneHeight + 34
const mostStrips = 10
/** Pixels that a pass of the target should have. */
const passWidth = 26

const style = `text{font:12px system-ui,sans-serif;fill:#667}.target{fill:#2a6fdb}.draft{fill:#d9642a}.way{fill:#d9642a;opacity:.35}
.grid{stroke:#8884}`

/** The prompt's passes, and as much of what follows as can be told apart. */
export function timelinePicture(spans: readonly TimelineSpan[], title: string): string {
  const targets = spans.filter(({ role }) => role === "target")
  const times = targets.map(({ begin, end }) => end - begin).sort((a, b) => a - b)
  const pass = times[times.length >> 1] ?? 1
  const length = ((width - left - right) / passWidth) * pass
  const end = spans.reduce((latest, span) => Math.max(latest, span.end), 0)
  const strips = Math.max(1, Math.min(mostStrips, Math.ceil(end / length)))
  const drawn = Array.from({ length: strips }, (_, i) =>
    strip(spans, { from: i * length, to: (i + 1) * length, y: top + i * stripHeight }),
  )
  const rest = end > strips * length ? `, the first ${Math.round(strips * length)} of ${Math.round(end)} ms` : ""
  const keys = [
    ["target", "a pass of the target"],
    ["draft", "a pass of the drafter"],
    ["way", "its data on their way"],
  ].map(
    ([kind, name], i) =>
      element("rect", { x: left + 190 * i, y: 4, width: 12, height: 12, class: kind! }) +
      text(left + 190 * i + 18, 14, name!),
  )
  const content = keys.join("") + text(left + 590, 14, `${title}${rest}`) + drawn.join("")
  return standalone(
    svg(width, top + strips * stripHeight, `When each device worked: ${title}`, `<style>${style}</style>${content}`),
  )
}

interface Strip {
  /** Milliseconds. */
  readonly from: number
  readonly to: number
  readonly y: number
}

function strip(spans: readonly TimelineSpan[], { from, to, y }: Strip): string {
  const x = linearScale(from, to, left, width - right)
  const bar = (begin: number, end: number, lane: number, kind: string, title = "") => {
    const [first, last] = [Math.max(from, begin), Math.min(to, end)]
    if (last <= first) return ""
    const place = { x: x(first), y: y + lane * (laneHeight + 2), width: x(last) - x(first), height: laneHeight }
    return element("rect", { ...place, class: kind }, title && `<title>${title}</title>`)
  }
  const bars = spans.map(({ role, begin, end, rows, way: [there, back] }) => {
    const lane = role === "target" ? 0 : 1
    const title = `${rows} ${rows === 1 ? "row" : "rows"}, ${(end - begin).toFixed(2)} ms`
    return (
      bar(begin, begin + there, lane, "way") +
      bar(begin + there, end - back, lane, role, title) +
      bar(end - back, end, lane, "way")
    )
  })
  const bottom = y + 2 * laneHeight + 4
  const marks = ticks(from, to, 8).filter((mark) => mark >= from && mark <= to)
  const grid = marks.map(
    (mark) =>
      line(x(mark), y, x(mark), bottom, "grid") + text(x(mark), bottom + 13, `${mark} ms`, { "text-anchor": "middle" }),
  )
  const names = ["target", "draft"].map((name, lane) =>
    text(left - 8, y + lane * (laneHeight + 2) + 12, name, { "text-anchor": "end" }),
  )
  return names.join("") + grid.join("") + bars.join("")
}
