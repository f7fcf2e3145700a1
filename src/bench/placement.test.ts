/** The device report: phases and predictions from answers whose times are known, and a run of a tiny model. */
import { rmSync } from "node:fs"
import { afterAll, describe, expect, test } from "vitest"
import { writeRandomParts } from "../../test/support/random-parts.ts"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import type { GenerateResult } from "../generate/types.ts"
import { judge, measurePlacement, type Pair } from "./placement.ts"
import { placementMap } from "./placement-map.ts"
import { choiceTable, placementTable } from "./placement-tables.ts"

/** Plain passes take 10 ms, a verification 9 + rows, a pass of the drafter 3, a round 1 of way, and 0.5 ms nobody explains. */
const verify = { base: 9, row: 1 }
const cost = (rows: number) => (verify.base + verify.row * rows) / (verify.base + verify.row)
const answer = (tokens: number, timings: object, more: object = {}) =>
  ({
    tokens: new Array(tokens + 1).fill(7),
    timings,
    passes: { target: 0, draft: 0 },
    ...more,
  }) as unknown as GenerateResult
const drafted = ({
  rounds,
  depth,
  nodes,
  tokens,
}: {
  rounds: number
  depth: number
  nodes: number
  tokens: number
}) => {
  const [draftMs, transferMs] = [rounds * depth * 3, rounds]
  const targetMs = rounds * (verify.base + verify.row * (1 + nodes))
  return answer(
    tokens,
    { draftMs, transferMs, targetMs, decodeMs: draftMs + transferMs + targetMs + 0.5 * rounds },
    { speculation: { rounds, drafted: rounds * nodes }, passes: { target: rounds, draft: rounds * depth } },
  )
}

function slowed({ plain, ours }: Pair, factor: number): Pair {
  const slow = (one: GenerateResult): GenerateResult => ({
    ...one,
    timings: Object.fromEntries(
      Object.entries(one.timings).map(([name, ms]) => [name, ms * factor]),
    ) as unknown as GenerateResult["timings"],
  })
  return { plain: slow(plain), ours: slow(ours) }
}

describe("from answers whose times are known", () => {
  const settings = [
    { depth: 1, nodes: 1 },
    { depth: 2, nodes: 3 },
    { depth: 2, nodes: 3, overlap: true },
  ]
  const found = [
    [[drafted({ rounds: 40, depth: 1, nodes: 1, tokens: 60 })]],
    [[drafted({ rounds: 25, depth: 2, nodes: 3, tokens: 60 })]],
    [[answer(60, { draftMs: 0, transferMs: 0, targetMs: 0, decodeMs: 300 })]],
  ]
  /** In a slow spell both take three times as long. */
  const pairsAt = (ms: number) =>
    found.map((byPrompt, i) =>
      byPrompt.map((each) =>
        each.map((ours) => slowed({ plain: answer(60, { decodeMs: ms }), ours }, i === 1 ? 3 : 1)),
      ),
    )
  const { costs, grid, choices } = judge({ pairs: pairsAt(600), settings, verify, cost, ratios: [1, 1000] })

  test("costs come apart, and the prediction from them is what was measured", () => {
    expect(costs).toEqual({ plain: 10, verify, draftPass: 3, transfer: 1, rest: 0.5 })
    expect(grid.map(({ tokens }) => tokens)).toEqual([1.5, 2.4])
    expect(grid[0]).toMatchObject({ phases: { draft: 3, transfer: 1, verify: 11, rest: expect.closeTo(0.5, 9) } })
    for (const { speedup, predicted } of grid) expect(predicted).toBeCloseTo(speedup, 9)
    expect(grid[0]!.speedup).toBeCloseTo(15 / 15.5, 9)
    expect(grid[1]!.overlapped).toBeCloseTo(2, 9)
  })

  test("nothing is chosen where nothing pays; a fast device for the draft wants more levels", () => {
    const [here, far] = choices
    expect(here).toEqual({ ratio: 1, depth: 2, rows: 4, speedup: expect.closeTo(24 / 20.5, 9) })
    expect(far).toMatchObject({ depth: 2, rows: 4, speedup: expect.closeTo(24 / 14.506, 6) })
    const lazy = judge({ pairs: pairsAt(300), settings, verify, cost, ratios: [1] })
    expect(lazy.choices).toEqual([{ ratio: 1, depth: 0, rows: 1, speedup: 1 }])
  })
})

describe("of a tiny model", () => {
  let folder: string | undefined
  const tiny = makeTinyFolder()
  afterAll(() => {
    tiny.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  test("every budget is run, the tables say each, the map shows each", async () => {
    folder = await writeRandomParts(tiny.path)
    const prompts = [{ id: 1, prompt: { text: "abc" } }]
    const common = { model: tiny.path, part: folder, prompts, maxTokens: 8, repetitions: 1, threads: 1 }
    const record = await measurePlacement({ ...common, method: "dovetail", weights: "f32", ratios: [1, 4] })
    expect(record).toMatchObject({ kind: "placement", method: "dovetail", device: "cpu", prompts: 1 })
    expect(record.grid).toHaveLength(6 + 5 + 4 + 3)
    for (const { tokens, rows, nodes, phases } of record.grid) {
      expect(tokens).toBeGreaterThanOrEqual(1)
      expect(rows).toBeLessThanOrEqual(1 + nodes)
      expect(Math.min(phases.draft, phases.verify)).toBeGreaterThan(0)
    }
    expect(placementTable([record]).rows).toHaveLength(record.grid.length)
    expect(choiceTable([record]).rows.map(([, ratio]) => ratio)).toEqual(["1", "4"])
    expect(placementMap(record).match(/class="here"/g)).toHaveLength(record.grid.length + 1)
    await expect(measurePlacement({ ...common, method: "autoregressive" })).rejects.toMatchObject({ code: "E_OPTION" })
  }, 120_000)
})
