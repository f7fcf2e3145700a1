/** The report's charts: intervals against a reference line, lines, and bars. Colours are CSS classes s0 to s5. */

import { element, line, linearScale, svg, text, ticks } from "../../base/svg.ts"
import type { Interval } from "../statistics.ts"

const width = 760
const labelWidth = 200
const right = 96
const colours = 6

export interface IntervalRow {
  readonly label: string
  readonly value: Interval
  /** Colour; rows of one series share it. */
  readonly series?: number
}

/** A dot and its interval for each row; everything right of the reference line is better (or worse) than it. */
export function intervalChart(
  title: string,
  rows: readonly IntervalRow[],
  options: {
    readonly reference: number
    readonly format: (value: number) => string
    readonly axis: string
    /** Of the series, when the labels do not tell. */
    readonly names?: readonly string[]
  },
): string {
  const { reference, format, names = [] } = options
  const rowHeight = names.length > 0 ? 24 : 30
  const top = names.length > 0 ? 34 : 12
  const bottom = top + rows.length * rowHeight
  const values = rows.flatMap(({ value }) => [value.low, value.high])
  const marks = ticks(Math.min(reference, ...values), Math.max(reference, ...values))
  const x = linearScale(marks[0]!, marks.at(-1)!, labelWidth, width - right)
  const grid = marks.map(
    (mark) =>
      line(x(mark), top, x(mark), bottom, "grid") +
      text(x(mark), bottom + 18, format(mark), { class: "tick", "text-anchor": "middle" }),
  )
  const items = rows.map(({ label, value, series = 0 }, i) => {
    const y = top + (i + 0.5) * rowHeight
    const [low, high] = [x(value.low), x(value.high)]
    const whisker = line(low, y, high, y, "whisker") + line(low, y - 5, low, y + 5, "whisker")
    return element(
      "g",
      { class: `s${series % colours}` },
      `<title>${format(value.median)} (${format(value.low)} to ${format(value.high)})</title>` +
        text(labelWidth - 14, y + 4, label, { class: "label", "text-anchor": "end" }) +
        whisker +
        line(high, y - 5, high, y + 5, "whisker") +
        element("circle", { cx: x(value.median), cy: y, r: 5.5, class: "dot" }) +
        text(width - right + 14, y + 4, format(value.median), { class: "value" }),
    )
  })
  const middle = line(x(reference), top - 6, x(reference), bottom, "reference")
  const axis = text((labelWidth + width - right) / 2, bottom + 38, options.axis, {
    class: "axis",
    "text-anchor": "middle",
  })
  const keys = legend(
    names.map((name, i) => [name, i] as const),
    labelWidth,
  )
  return svg(width, bottom + 46, title, keys + grid.join("") + middle + items.join("") + axis)
}

export interface Series {
  readonly label: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Axes {
  readonly x: string
  readonly y: string
  /** Default logarithmic, base 2. */
  readonly linear?: boolean
  readonly format?: (value: number) => string
  /** Of the last column, where it holds more than its number says. */
  readonly last?: string
}

/** Lines over an x axis, labelled at their ends. */
export function lineChart(title: string, series: readonly Series[], axes: Axes) {
  const [left, top, bottom, edge] = [56, 26, 300, width - 150]
  const all = series.flatMap(({ points }) => points)
  const marks = ticks(0, Math.max(...all.map(([, y]) => y)))
  const xs = [...new Set(all.map(([x]) => x))].sort((a, b) => a - b)
  const place = axes.linear ? (value: number) => value : Math.log2
  const scaleX = linearScale(place(xs[0]!), place(xs.at(-1)!), left, edge)
  const x = (value: number) => scaleX(place(value))
  const y = linearScale(0, marks.at(-1)!, bottom, top)
  const grid = marks.map(
    (mark) =>
      line(left, y(mark), edge, y(mark), "grid") +
      text(left - 10, y(mark) + 4, axes.format?.(mark) ?? mark, { class: "tick", "text-anchor": "end" }),
  )
  const below = xs
    .filter((value) => Number.isInteger(place(value)))
    .map((value) => text(x(value), bottom + 20, value, { class: "tick", "text-anchor": "middle" }))
  const labels = spread(
    series.map(({ points }) => y(points.at(-1)![1])),
    17,
  )
  const lines = series.map(({ label, points }, i) => {
    const path = points.map(([px, py], at) => `${at ? "L" : "M"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join("")
    const dots = points.map(([px, py]) => element("circle", { cx: x(px), cy: y(py), r: 3.5, class: "dot" }))
    return element(
      "g",
      { class: `s${i % colours}` },
      element("path", { d: path, class: "line" }) +
        dots.join("") +
        text(x(points.at(-1)![0]) + 12, labels[i]! + 4, label, { class: "label" }),
    )
  })
  const names =
    text(left - 44, 12, axes.y, { class: "axis" }) +
    text((left + edge) / 2, bottom + 42, axes.x, { class: "axis", "text-anchor": "middle" })
  return svg(width, bottom + 50, title, grid.join("") + below.join("") + lines.join("") + names)
}

export interface Column {
  readonly label: string
  /** Height of each column, from x = 0 on. */
  readonly values: readonly number[]
}

/** Columns side by side at each whole x, a colour a series. */
export function columnChart(title: string, series: readonly Column[], axes: Axes): string {
  const [left, top, bottom, edge] = [56, 44, 300, width - 20]
  const count = Math.max(...series.map(({ values }) => values.length))
  const marks = ticks(0, Math.max(...series.flatMap(({ values }) => values)))
  const y = linearScale(0, marks.at(-1)!, bottom, top)
  const slot = (edge - left) / count
  const column = Math.min(44, (slot * 0.8) / series.length)
  const shown = axes.format ?? String
  const grid = marks.map(
    (mark) =>
      line(left, y(mark), edge, y(mark), "grid") +
      text(left - 10, y(mark) + 4, shown(mark), { class: "tick", "text-anchor": "end" }),
  )
  const middle = (at: number) => left + (at + 0.5) * slot
  const below = Array.from({ length: count }, (_, at) =>
    text(middle(at), bottom + 20, at === count - 1 ? (axes.last ?? at) : at, {
      class: "tick",
      "text-anchor": "middle",
    }),
  )
  const columns = series.map(({ label, values }, i) => {
    const bars = values.map((value, at) => {
      const x = middle(at) + (i - series.length / 2) * column
      const shape = { x: x + 1, y: y(value), width: column - 2, height: bottom - y(value), rx: 2, class: "bar" }
      return element("rect", shape, `<title>${label}, ${at}: ${shown(value)}</title>`)
    })
    return element("g", { class: `s${i % colours}` }, bars.join(""))
  })
  const names =
    text(left - 44, 32, axes.y, { class: "axis" }) +
    text((left + edge) / 2, bottom + 42, axes.x, { class: "axis", "text-anchor": "middle" })
  const keys = legend(
    series.map(({ label }, i) => [label, i] as const),
    left,
  )
  return svg(width, bottom + 50, title, keys + grid.join("") + columns.join("") + below.join("") + names)
}

export interface Dot {
  readonly label: string
  readonly x: number
  readonly y: number
  readonly series: number
}

/** Points against the diagonal of equal values, with a band of 10 % to each side. */
export function agreementChart(
  title: string,
  dots: readonly Dot[],
  axes: Axes & { readonly names: readonly string[] },
) {
  const [left, top, bottom, edge] = [56, 44, 420, 56 + 376 * 1.5]
  const values = dots.flatMap(({ x, y }) => [x, y])
  const marks = ticks(Math.min(1, ...values), Math.max(1, ...values))
  const [low, high] = [marks[0]!, marks.at(-1)!]
  const [x, y] = [linearScale(low, high, left, edge), linearScale(low, high, bottom, top)]
  const clip = (value: number) => Math.min(high, Math.max(low, value))
  const corners = [
    [low, clip(low * 1.1)],
    [high / 1.1, high],
    [high, high],
    [high, clip(high / 1.1)],
    [clip(low * 1.1), low],
    [low, low],
  ]
  const band = `M${corners.map(([px, py]) => `${x(px!).toFixed(1)} ${y(py!).toFixed(1)}`).join("L")}Z`
  const shown = axes.format ?? String
  const grid = marks.map(
    (mark) =>
      line(left, y(mark), edge, y(mark), "grid") +
      line(x(mark), top, x(mark), bottom, "grid") +
      text(left - 10, y(mark) + 4, shown(mark), { class: "tick", "text-anchor": "end" }) +
      text(x(mark), bottom + 20, shown(mark), { class: "tick", "text-anchor": "middle" }),
  )
  const points = dots.map(({ label, series, ...at }) =>
    element(
      "g",
      { class: `s${series % colours}` },
      element("circle", { cx: x(at.x), cy: y(at.y), r: 5.5, class: "dot" }, `<title>${label}</title>`),
    ),
  )
  const keys = legend(
    axes.names.map((name, i) => [name, i] as const),
    left,
  )
  const names =
    text(left - 44, 32, axes.y, { class: "axis" }) +
    text((left + edge) / 2, bottom + 42, axes.x, { class: "axis", "text-anchor": "middle" })
  const diagonal = line(x(low), y(low), x(high), y(high), "reference")
  const shape = element("path", { d: band, class: "band" })
  return svg(width, bottom + 50, title, keys + grid.join("") + shape + diagonal + points.join("") + names)
}

/** Coloured squares with names, in one line. */
function legend(names: readonly (readonly [name: string, series: number])[], from: number): string {
  let at = from
  return names
    .map(([name, series]) => {
      const box = element("rect", { x: at, y: 4, width: 12, height: 12, rx: 3, class: "bar" })
      const key = element("g", { class: `s${series % colours}` }, box + text(at + 18, 14, name, { class: "label" }))
      at += 42 + name.length * 7
      return key
    })
    .join("")
}

export interface BarRow {
  readonly label: string
  readonly parts: readonly { readonly name: string; readonly value: number; readonly series: number }[]
}

/** Horizontal bars, their parts one after the other (`stacked`) or one below the other, with a legend. */
export function barChart(
  title: string,
  rows: readonly BarRow[],
  options: { readonly stacked?: boolean; readonly format: (value: number) => string },
): string {
  const { stacked = false, format } = options
  const bar = stacked ? 22 : 14
  const heights = rows.map(({ parts }) => (stacked ? bar : parts.length * (bar + 3)) + 14)
  const sums = rows.map(({ parts }) => parts.map(({ value }) => value))
  const longest = Math.max(...sums.map((values) => (stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values))))
  const x = linearScale(0, longest, labelWidth, width - right)
  const keys = new Map(rows.flatMap(({ parts }) => parts.map(({ name, series }) => [name, series] as const)))
  let content = legend([...keys], labelWidth)
  let y = 30
  for (const [i, { label, parts }] of rows.entries()) {
    content += text(labelWidth - 14, y + (heights[i]! - 14) / 2 + 4, label, { class: "label", "text-anchor": "end" })
    let from = labelWidth
    for (const [j, { name, value, series }] of parts.entries()) {
      const top = stacked ? y : y + j * (bar + 3)
      const size = x(value) - labelWidth
      const hint = `<title>${name}: ${format(value)}</title>`
      const shape = { x: from, y: top, width: Math.max(0, size), height: bar, rx: 3, class: "bar" }
      content += element("g", { class: `s${series % colours}` }, element("rect", shape, hint))
      if (!stacked) content += text(from + size + 8, top + bar - 3, format(value), { class: "value" })
      if (stacked) from += size
    }
    const sum = parts.reduce((total, { value }) => total + value, 0)
    if (stacked) content += text(from + 8, y + bar - 6, format(sum), { class: "value" })
    y += heights[i]!
  }
  return svg(width, y + 4, title, content)
}

/** Moves labels apart so that neighbours keep a distance; their order stays. */
function spread(positions: readonly number[], gap: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!)
  const moved = [...positions]
  for (let i = order.length - 2; i >= 0; i--)
    moved[order[i]!] = Math.min(moved[order[i]!]!, moved[order[i + 1]!]! - gap)
  return moved
}
