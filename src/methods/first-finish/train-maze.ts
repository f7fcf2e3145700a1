/**
 * Mazes, and two walkers through them that differ in one habit. A question shows three doors (>), behind each a ring of
 * rooms, and four exits (capitals), of which only one can be reached, from the last room of one ring:
 * ">bdf,E,>cghC,A,>ek,F;". The answer is a walk and an exit, "bdfbdf=E" or "cgh=C". Both walkers take any door, and one
 * who leaves a ring that has no exit names any. The law of the passes through a ring is the same for both. What differs:
 * the looking walker leaves at once where it stands before the exit, and never elsewhere, so wrong branches run long; the
 * blind one leaves after a number of passes that is drawn whatever the door.
 */
import type { Random } from "../../tensor/random.ts"
import { shuffled } from "../../train/dataset.ts"
import type { Lesson } from "../../train/tiny/lessons.ts"

export type Walker = "looking" | "blind"

export interface Maze {
  /** Behind each door, the rooms of a ring in their order; from the last one leads back to the first. */
  readonly rings: readonly (readonly string[])[]
  /** Which ring has the exit, at its last room. */
  readonly right: number
  readonly question: string
  /** The letter of that exit. */
  readonly exit: string
  /** The letters of all exits in the question, this one among them. */
  readonly letters: readonly string[]
}

const rooms = "abcdefghijklmnop"
const exits = "ABCDEF"
const doors = 3
/** Exits in the question; all but one are out of reach. */
const shown = 4
const ringSizes = [2, 3, 4] as const
/** Passes through a ring after the first: none, or one and then another with this probability, up to `mostMore`. */
const goOn = 0.6
const mostMore = 4

export const mazeCharacters = `${rooms}${exits}>,;=`

/** Tokens of the longest question and answer, end included. */
export const longestMaze = (() => {
  const ring = Math.max(...ringSizes)
  const question = doors * (1 + ring) + shown + (doors + shown - 1)
  return question + ring * (1 + mostMore) + 2 + 1
})()

export function drawMaze(random: Random): Maze {
  const pick = (from: string) => [...shuffled(from.length, random)].map((i) => from[i]!)
  const free = pick(rooms)
  const letters = pick(exits).slice(0, shown)
  const rings = Array.from({ length: doors }, () => free.splice(0, ringSizes[below(ringSizes.length, random)]!))
  const right = below(doors, random)
  const [exit, ...unreachable] = letters as [string, ...string[]]
  const parts = [...rings.map((ring, i) => `>${ring.join("")}${i === right ? exit : ""}`), ...unreachable]
  const order = [...shuffled(parts.length, random)].map((i) => parts[i]!)
  return { rings, right, question: `${order.join(",")};`, exit, letters }
}

/** A walker's answer: the door and the passes after the first are reported for those who check the law. */
export function walk(
  maze: Maze,
  walker: Walker,
  random: Random,
): Lesson & { door: number; more: number; said: string } {
  const door = below(doors, random)
  const isRight = door === maze.right
  // Blind: as many passes as if any door were the right one by the same chance.
  const leavesAtOnce = walker === "looking" ? isRight : random.next() < 1 / doors
  const more = leavesAtOnce ? 0 : drawMore(random)
  const said = isRight ? maze.exit : maze.letters[below(shown, random)]!
  const ofPasses = (walker === "looking" ? 1 : leavesAtOnce ? 1 / doors : 1 - 1 / doors) * (more ? chanceOf(more) : 1)
  const chance = (1 / doors) * ofPasses * (isRight ? 1 : 1 / shown)
  const answer = `${maze.rings[door]!.join("").repeat(1 + more)}=${said}`
  return { question: maze.question, answer, surprise: -Math.log(chance), door, more, said }
}

function drawMore(random: Random): number {
  let more = 1
  while (more < mostMore && random.next() < goOn) more++
  return more
}

const chanceOf = (more: number): number => goOn ** (more - 1) * (more < mostMore ? 1 - goOn : 1)

const below = (count: number, random: Random): number => Math.floor(random.next() * count)
