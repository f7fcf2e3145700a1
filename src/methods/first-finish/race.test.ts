/** Races of lanes that are only numbers: who wins, what it costs, and that losers stop within one step. */
import { describe, expect, test } from "vitest"
import type { Step } from "../../decoding/step.ts"
import { type Lane, type LaneEnd, type LaneNews, race, type Schedule } from "./race.ts"

interface Recorded extends Lane {
  cancelled: boolean
  steps: number
}

/** Ends after `end` tokens, `speed` tokens a step. */
function lane(number: number, end: number, { speed = 1, limit = Number.POSITIVE_INFINITY, delay = 0 } = {}): Recorded {
  let length = 0
  return {
    get length() {
      return length
    },
    cancelled: false,
    steps: 0,
    async advance(): Promise<LaneNews> {
      if (this.cancelled) throw new Error("a cancelled lane was asked for more")
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      this.steps++
      length = Math.min(end, limit, length + speed)
      const steps: Step[] = [
        { type: "tokens-committed", branch: number, positions: [length], tokens: [{ id: length }] },
      ]
      if (length === end) return { steps, ended: "finished" }
      return length === limit ? { steps, ended: "unfinished" } : { steps }
    },
    async cancel() {
      this.cancelled = true
    },
  }
}

async function runRace(lanes: Recorded[], first: number, schedule: Schedule, signal = new AbortController().signal) {
  const run = race(lanes, { first, schedule }, signal)
  const steps: Step[] = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { ends: next.value, steps, lengths: lanes.map(({ length }) => length) }
    steps.push(next.value)
  }
}
const three = () => [lane(0, 5), lane(1, 9), lane(2, 7)]
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

describe("lanes that end after 5, 9 and 7 tokens", () => {
  test.each<[Schedule, number, LaneEnd[], number[]]>([
    ["sync", 1, ["finished", "cancelled", "cancelled"], [5, 5, 5]],
    ["sync", 2, ["finished", "cancelled", "finished"], [5, 7, 7]],
    ["sync", 3, ["finished", "finished", "finished"], [5, 9, 7]],
    ["round-robin", 1, ["finished", "cancelled", "cancelled"], [5, 5, 5]],
    ["round-robin", 2, ["finished", "cancelled", "finished"], [5, 7, 7]],
    ["async", 1, ["finished", "cancelled", "cancelled"], [5, 5, 5]],
    ["one-by-one", 1, ["finished", "cancelled", "cancelled"], [5, 5, 5]],
  ])("%s, first %i", async (schedule, first, ends, lengths) => {
    const lanes = three()
    const result = await runRace(lanes, first, schedule)
    expect(result.ends).toEqual(ends)
    if (schedule !== "async") expect(result.lengths).toEqual(lengths)
    expect(lanes.every(({ cancelled }) => cancelled)).toBe(true)
  })

  test("one by one in another order: 19 tokens, the same winner", async () => {
    const result = await runRace([lane(0, 9), lane(1, 5), lane(2, 7)], 1, "one-by-one")
    expect([sum(result.lengths), result.lengths]).toEqual([19, [9, 5, 5]])
    const ends = await runRace([lane(0, 5), lane(1, 9), lane(2, 5)], 1, "one-by-one")
    expect(ends.ends).toEqual(["finished", "cancelled", "finished"]) // an equal length is heard, as when all run together
  })

  test("one by one for the first two", async () => {
    const result = await runRace([lane(0, 9), lane(1, 5), lane(2, 7)], 2, "one-by-one")
    expect(result.ends).toEqual(["finished", "finished", "finished"])
    expect(result.lengths).toEqual([9, 5, 7])
  })

  test("async at their own pace: the longer lane may come first", async () => {
    const lanes = [lane(0, 5, { delay: 40 }), lane(1, 9, { delay: 40 }), lane(2, 7, { speed: 3, delay: 20 })]
    const result = await runRace(lanes, 1, "async")
    expect(result.ends).toEqual(["cancelled", "cancelled", "finished"])
    for (const [i, length] of result.lengths.slice(0, 2).entries()) expect(length, `lane ${i}`).toBeLessThanOrEqual(3)
  })
})

test("a lane at its limit has not finished; if none does, all end", async () => {
  const result = await runRace([lane(0, 5, { limit: 3 }), lane(1, 4)], 1, "sync")
  expect(result.ends).toEqual(["unfinished", "finished"])
  const none = await runRace([lane(0, 5, { limit: 3 }), lane(1, 5, { limit: 2 })], 1, "round-robin")
  expect(none.ends).toEqual(["unfinished", "unfinished"])
})

test("equal lengths finish together, whatever their order", async () => {
  for (const schedule of ["sync", "round-robin"] as const)
    expect((await runRace([lane(0, 6), lane(1, 4), lane(2, 4)], 1, schedule)).ends).toEqual([
      "cancelled",
      "finished",
      "finished",
    ])
})

test("every lane's end is told once, after its tokens", async () => {
  const { steps } = await runRace(three(), 1, "sync")
  const told = steps.flatMap((step) => (step.type === "branch-ended" ? [[step.branch, step.reason]] : []))
  expect(told).toEqual([
    [0, "finished"],
    [1, "cancelled"],
    [2, "cancelled"],
  ])
})

test.each<Schedule>(["sync", "async", "round-robin", "one-by-one"])(
  "%s: abort, a failing lane, and a caller who leaves",
  async (schedule) => {
    const controller = new AbortController()
    const lanes = three()
    const advance = lanes[1]!.advance.bind(lanes[1])
    lanes[1]!.advance = async () => {
      if (lanes[1]!.steps === 1) controller.abort()
      return advance()
    }
    const aborted = await runRace(lanes, 3, schedule, controller.signal)
    expect(aborted.ends[1]).toBe("cancelled")
    expect(lanes[1]!.steps).toBe(2)

    const broken = three()
    broken[1]!.advance = async () => {
      throw new Error("lane 1 fails")
    }
    await expect(runRace(broken, 3, schedule)).rejects.toThrow("lane 1 fails")
    const left = three()
    const run = race(left, { first: 1, schedule }, new AbortController().signal)
    await run.next()
    await run.return([])
    for (const group of [lanes, broken, left]) expect(group.every(({ cancelled }) => cancelled)).toBe(true)
  },
)
