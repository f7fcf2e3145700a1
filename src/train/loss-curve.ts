/** The loss of a run as a picture: each step faintly, a running mean, and the validations. */
import { element, escapeText, line, linearScale, standalone, svg, text, ticks } from "../base/svg.ts"

export interface Curve {
  /** Of each step, from the first. */
  readonly losses: readonly number[]
  readonly validations: readonly { readonly step: number; readonly value: number }[]
  readonly metric: string
}

const width = 760
const height = 340
const [left, right, top, bottom] = [56, 24, 36, height - 46]

const style = `text{font:12px system-ui,sans-serif;fill:#667}.grid{stroke:#8884}.line{fill:none;stroke:#2a6fdb;stroke-width:2}
.faint{fill:none;stroke:#2a6fdb;stroke-width:1;opacity:.25}.dot{fill:#d9642a}`

export function lossCurve({ losses, validations, metric }: Curve): string {
  const isLoss = metric === "loss"
  const smooth = runningMean(losses, Math.max(1, Math.round(losses.length / 50)))
  const shown = [...smooth, ...(isLoss ? validations.map(({ value }) => value) : [])]
  const [low, high] = shown.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  )
  const marks = ticks(low!, high!)
  const x = linearScale(1, Math.max(2, losses.length), left, width - right)
  const y = linearScale(marks[0]!, marks.at(-1)!, bottom, top)
  const grid = marks.map(
    (mark) =>
      line(left, y(mark), width - right, y(mark), "grid") + text(left - 8, y(mark) + 4, mark, { "text-anchor": "end" }),
  )
  const steps = ticks(1, Math.max(2, losses.length)).filter((step) => step >= 1 && step <= losses.length)
  const below = steps.map((step) => text(x(step), bottom + 18, step, { "text-anchor": "middle" }))
  const path = (values: readonly number[], kind: string) => {
    const points = values.map((value, i) => `${i ? "L" : "M"}${x(i + 1).toFixed(1)} ${y(value).toFixed(1)}`)
    return element("path", { d: points.join(""), class: kind })
  }
  // The faint line may leave the picture at its first steps; the mean decides the scale.
  const clipped = losses.map((loss) => Math.min(marks.at(-1)!, Math.max(marks[0]!, loss)))
  const dots = validations.map(({ step, value }) =>
    isLoss
      ? element("circle", { cx: x(step), cy: y(value), r: 3.5, class: "dot" })
      : element(
          "circle",
          { cx: x(step), cy: top, r: 3.5, class: "dot" },
          `<title>${escapeText(metric)} ${value.toFixed(4)}</title>`,
        ),
  )
  const names =
    text(left, 18, isLoss ? "loss; dots: validation" : `loss; dots: ${metric}`) +
    text(width - right, bottom + 38, "step", { "text-anchor": "end" })
  return standalone(
    svg(
      width,
      height,
      "Loss by step",
      `<style>${style}</style>${grid.join("")}${below.join("")}${path(clipped, "faint")}${path(smooth, "line")}${dots.join("")}${names}`,
    ),
  )
}

/** Means over the last `span` values. */
function runningMean(values: readonly number[], span: number): number[] {
  let sum = 0
  return values.map((value, i) => {
    sum += value - (i >= span ? values[i - span]! : 0)
    return sum / Math.min(i + 1, span)
  })
}
