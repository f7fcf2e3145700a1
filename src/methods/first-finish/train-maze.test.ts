/** The mazes and their walkers: what couples length and correctness, by counts on fixed seeds. */
import { describe, expect, test } from "vitest"
import { type RaceSummary, summariseRaces } from "../../bench/race-summary.ts"
import { findAnswer } from "../../decoding/answer.ts"
import { createRandom } from "../../tensor/random.ts"
import { drawMaze, longestMaze, mazeCharacters, type Walker, walk } from "./train-maze.ts"

const count = 3000
const walksOf = (walker: Walker) =>
  Array.from({ length: count }, (_, i) => {
    const random = createRandom(11).fork(i)
    const maze = drawMaze(random.fork("maze"))
    return { maze, ...walk(maze, walker, random.fork("walk")) }
  })
const walks = { looking: walksOf("looking"), blind: walksOf("blind") }
const each = ["looking", "blind"] as const

/** Reads a question back, without the generator's own knowledge. */
function readQuestion(question: string) {
  const parts = question.slice(0, -1).split(",")
  const doors = parts.filter((part) => part.startsWith(">")).map((part) => part.slice(1))
  return {
    rings: doors.map((door) => door.replace(/[A-Z]/, "")),
    reachable: doors.flatMap((door) => /[A-Z]/.exec(door)?.[0] ?? []),
    rest: parts.filter((part) => !part.startsWith(">")),
  }
}

describe("a maze", () => {
  test("has three doors, four exits, and one of them behind a door: the answer", () => {
    for (const { maze } of walks.looking) {
      const { rings, reachable, rest } = readQuestion(maze.question)
      expect(rings).toHaveLength(3)
      expect(reachable).toEqual([maze.exit])
      expect(rest).toHaveLength(3)
      expect([...reachable, ...rest].sort()).toEqual([...maze.letters].sort())
      expect(new Set(rings.join("")).size).toBe(rings.join("").length) // no room twice
    }
  })

  test("is spelt with the characters of the vocabulary, and fits with its answer into the longest row", () => {
    const lengths = [...walks.looking, ...walks.blind].map(({ question, answer }) => {
      expect([...(question + answer)].every((one) => mazeCharacters.includes(one))).toBe(true)
      return question.length + answer.length + 1
    })
    expect(Math.max(...lengths)).toBeLessThanOrEqual(longestMaze)
  })
})

describe.each(each)("the %s walker", (walker) => {
  test("walks whole rounds of one of the question's rings and names one of its exits", () => {
    for (const { question, answer, maze } of walks[walker]) {
      const [path, said] = answer.split("=") as [string, string]
      const ring = readQuestion(question).rings.find((rooms) => path.startsWith(rooms))!
      expect(path).toBe(ring.repeat(path.length / ring.length))
      expect(maze.letters).toContain(said)
      expect(findAnswer(answer, "letter")).toBe(said) // as race reads it
    }
  })

  test("is right half of the time: 1/3 by the door, 2/3 · 1/4 by a guess", () => {
    const right = walks[walker].filter(({ maze, said }) => said === maze.exit).length
    expect(Math.abs(right / count - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / count))
  })

  test("tells the probability of its answers: drawn again for one maze, they come as often as it says", () => {
    const maze = drawMaze(createRandom(5))
    const draws = Array.from({ length: 20_000 }, (_, i) => walk(maze, walker, createRandom(6).fork(i)))
    const seen = new Map<string, number>()
    for (const { answer } of draws) seen.set(answer, (seen.get(answer) ?? 0) + 1)
    const chances = new Map(draws.map(({ answer, surprise }) => [answer, Math.exp(-surprise)]))
    let mass = 0
    for (const [answer, times] of seen) {
      const chance = chances.get(answer)!
      mass += chance
      const spread = Math.sqrt((chance * (1 - chance)) / draws.length)
      expect(Math.abs(times / draws.length - chance)).toBeLessThan(5 * spread)
    }
    expect(mass).toBeGreaterThan(0.99)
    expect(mass).toBeLessThan(1 + 1e-9)
  })
})

describe("what couples", () => {
  const passes = (walker: Walker, isRight: boolean) => {
    const counts = [0, 0, 0, 0, 0]
    for (const { door, more, maze } of walks[walker]) if ((door === maze.right) === isRight) counts[more]!++
    return counts
  }

  test("the looking walker never goes round where there is an exit, and always where there is none", () => {
    expect(passes("looking", true).slice(1)).toEqual([0, 0, 0, 0])
    expect(passes("looking", false)[0]).toBe(0)
  })

  test("the blind walker's passes have one law behind all doors (chi-square, 4 degrees of freedom)", () => {
    expect(distance(passes("blind", true), passes("blind", false))).toBeLessThan(18.5) // p = 0.001
  })

  test("over all doors both walkers have the same law of passes", () => {
    const all = (walker: Walker) => passes(walker, true).map((n, i) => n + passes(walker, false)[i]!)
    expect(distance(all("looking"), all("blind"))).toBeLessThan(18.5)
  })

  test("so in races of eight walkers the first to finish gains on the one task and nothing on the other", () => {
    const summary = (walker: Walker) =>
      summariseRaces(
        Array.from({ length: 100 }, (_, i) => {
          const random = createRandom(21).fork(i)
          const maze = drawMaze(random)
          const traces = Array.from({ length: 8 }, (_, lane) => {
            const { answer, said } = walk(maze, walker, random.fork(lane))
            return { length: answer.length + 1, finished: true, answer: said }
          })
          return { gold: maze.exit, traces }
        }),
      )
    const [looking, blind] = [summary("looking"), summary("blind")]
    const gain = ({ rows }: RaceSummary) =>
      rows.find(({ rule, lanes }) => rule === "first-1, no vote on ties" && lanes === 8)!.gain!
    expect(gain(looking).low).toBeGreaterThan(0.3)
    expect(gain(blind).low).toBeLessThan(0)
    expect(gain(blind).high).toBeGreaterThan(0)
    expect(looking.lengths!.rightShorter.low).toBeGreaterThan(0.85)
    expect(looking.lengths!.correlation.high).toBeLessThan(-0.35)
    const { low, high } = blind.lengths!.correlation
    expect([low < 0, high > 0]).toEqual([true, true])
  })
})

/** Pearson's statistic that two rows of counts have one law. */
function distance(a: readonly number[], b: readonly number[]): number {
  const [sumA, sumB] = [a, b].map((row) => row.reduce((x, y) => x + y, 0)) as [number, number]
  return a.reduce((sum, x, i) => {
    const both = (x + b[i]!) / (sumA + sumB)
    return sum + (x - both * sumA) ** 2 / (both * sumA) + (b[i]! - both * sumB) ** 2 / (both * sumB)
  }, 0)
}
