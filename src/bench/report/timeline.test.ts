/** The timeline's bars lie where the passes were, its data's way apart, and only as many strips as can be read. */
import { expect, test } from "vitest"
import type { TimelineSpan } from "../../generate/phases.ts"
import { timelinePicture } from "./timeline.ts"

const span = (
  role: TimelineSpan["role"],
  begin: number,
  end: number,
  way: [number, number] = [0, 0],
): TimelineSpan => ({
  ...{ role, begin, end, rows: 3, layers: role === "target" ? 4 : 0, way },
})
const rects = (picture: string, kind: string) =>
  [...picture.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="16" class="(\w+)"/g)]
    .filter((found) => found[4] === kind)
    .map(([, x, y, width]) => [Number(x), Number(y), Number(width)])

test("a lane for each role, one scale for both, the way of its data beside a pass", () => {
  const picture = timelinePicture([span("draft", 0, 10, [2, 3]), span("target", 10, 30), span("target", 30, 50)], "<x>")
  const [[, y, long], second] = rects(picture, "target") as [number[], number[]]
  const [draft] = rects(picture, "draft") as [number[]]
  const ways = rects(picture, "way")
  expect([second[1], draft[1]]).toEqual([y, y! + 18])
  expect(draft[2]! / long!).toBeCloseTo(5 / 20, 2)
  expect(ways.map(([, , width]) => width! / long!)).toEqual([expect.closeTo(0.1, 2), expect.closeTo(0.15, 2)])
  expect(ways[0]![0]! + ways[0]![2]!).toBeCloseTo(draft[0]!, 1)
  expect(picture).toContain("&#60;x&#62;")
  expect(picture).toContain("3 rows, 20.00 ms")
})

test("a long answer is cut where its passes would blur, and says so", () => {
  const passes = Array.from({ length: 2000 }, (_, i) => span("target", 10 * i, 10 * i + 9.5))
  const picture = timelinePicture(passes, "long")
  expect(rects(picture, "target").length).toBeLessThan(500)
  expect(picture).toMatch(/the first \d+ of 2\d{4} ms/)
  expect(timelinePicture([], "none")).toContain("<svg")
})
