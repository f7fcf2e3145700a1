/** The picture of a run stays inside its frame and shows every step. */
import { expect, test } from "vitest"
import { lossCurve } from "./loss-curve.ts"

const losses = Array.from({ length: 200 }, (_, i) => 1 + 4 * Math.exp(-i / 30) + 0.2 * Math.sin(i * 1.7))

function pathsOf(svg: string): [x: number, y: number][][] {
  return [...svg.matchAll(/ d="([^"]+)"/g)].map(([, path]) =>
    path!
      .slice(1)
      .split("L")
      .map((point) => point.split(" ").map(Number) as [number, number]),
  )
}

test("two lines with a point for each step, left to right, inside the picture; a dot for each validation", () => {
  const validations = [
    { step: 100, value: 1.4 },
    { step: 200, value: 1.1 },
  ]
  const svg = lossCurve({ losses, validations, metric: "loss" })
  const [faint, smooth] = pathsOf(svg)
  for (const line of [faint!, smooth!]) {
    expect(line).toHaveLength(200)
    for (const [i, [x, y]] of line.entries()) {
      expect(x).toBeGreaterThan(i === 0 ? 0 : line[i - 1]![0])
      expect(x).toBeLessThan(760)
      expect(y).toBeGreaterThanOrEqual(36)
      expect(y).toBeLessThanOrEqual(340)
    }
  }
  // A falling loss goes down the page, and the mean wavers less.
  expect(smooth!.at(-1)![1]).toBeGreaterThan(smooth![0]![1])
  const wavering = (line: [number, number][]) =>
    line.slice(101).reduce((sum, [, y], i) => sum + Math.abs(y - line[100 + i]![1]), 0)
  expect(wavering(smooth!)).toBeLessThan(wavering(faint!) / 2)
  expect(svg.match(/<circle/g)).toHaveLength(2)
})

test("one step alone, and a metric that is no loss, are no trouble", () => {
  const svg = lossCurve({ losses: [3], validations: [{ step: 1, value: 0.5 }], metric: "hits <3" })
  expect(svg).not.toContain("NaN")
  expect(svg).toContain("hits &#60;3")
  expect(svg).not.toContain("hits <3")
})
