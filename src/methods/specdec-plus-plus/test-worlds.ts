/** For tests: texts whose tokens come true with known probabilities, heads that know them, and the best way to stop. */
import type { DraftedAnswer, DraftedLine } from "../../bench/draft-replay.ts"
import { createRandom } from "../../tensor/random.ts"
import type { AcceptanceHead } from "./acceptance-head.ts"

export interface World {
  /** Probability that a drafted token is right, by regime. */
  readonly acceptance: readonly number[]
  /** Probability that the next token's regime is the same. */
  readonly stays: number
}

export const constantWorld: World = { acceptance: [0.8], stays: 1 }
export const regimes: World = { acceptance: [0.95, 0.45], stays: 0.9 }
/** The same with regimes that last. */
export const longRegimes: World = { ...regimes, stays: 0.98 }

/** Longest line that is drafted. */
const reach = 32

/** What a head sees of a token: its own place's acceptance in the world, with noise on the logit. */
export interface WorldOptions {
  readonly answers: number
  readonly tokens: number
  readonly seed: number
  readonly noise?: number
  /** Shows each token's hidden state in another's place: a head fed with the wrong row. Default 0. */
  readonly shift?: number
}

/** The hidden state is one number: the probability itself. A token's row is read with the next token (the lag). */
export function answersOf(world: World, options: WorldOptions): DraftedAnswer[] {
  const { answers, tokens, seed, noise = 0, shift = 0 } = options
  const random = createRandom(seed)
  return Array.from({ length: answers }, (_, index) => {
    const own = random.fork(index)
    const [places, outcomes, errors] = [own.fork("regimes"), own.fork("outcomes"), own.fork("errors")]
    let regime = Math.floor(places.next() * world.acceptance.length)
    const chances: number[] = []
    const seen: number[] = []
    const right: boolean[] = []
    for (let place = 0; place < tokens + reach + 2; place++) {
      if (places.next() >= world.stays) regime = (regime + 1) % world.acceptance.length
      const chance = world.acceptance[regime]!
      chances.push(chance)
      seen.push(logistic(Math.log(chance / (1 - chance)) + noise * gaussian(errors)))
      right.push(outcomes.next() < chance)
    }
    const lines = new Map<number, DraftedLine>()
    const known = (place: number) => {
      const line = lines.get(place) ?? lineFrom(place, { right, seen, shift })
      lines.set(place, line)
      return line
    }
    return { tokens, lineFrom: known }
  })
}

interface Places {
  readonly right: readonly boolean[]
  readonly seen: readonly number[]
  readonly shift: number
}

function lineFrom(place: number, { right, seen, shift }: Places): DraftedLine {
  const wrong = right.indexOf(false, place + 1)
  return {
    right: (wrong < 0 ? right.length : wrong) - place - 1,
    // Token k stands at place + k; its row of the draft model is that of token k - 1.
    drafted: Array.from({ length: reach }, (_, i) => ({
      confidence: () => seen[place + 1 + i]!,
      hidden: Float32Array.of(seen[Math.max(0, place + i + shift)]!),
    })),
  }
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))

function gaussian(random: { next(): number }): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

/** Reads the probability off. */
export const seeingHead: Pick<AcceptanceHead, "accepts"> = { accepts: (hidden) => hidden[0]! }

export interface Stopping {
  readonly world: World
  /** Cost of a draft pass in passes of the target. */
  readonly cost: number
  readonly longest: number
}

/** A place in a round: tokens drafted, their survival (the product of their probabilities), the next token's regime. */
interface Place {
  readonly count: number
  readonly survival: number
  readonly regime: number
}

/**
 * What drafting on from here is worth at best, at a price of `rate` tokens for a pass (0 = stop): dynamic programming
 * over the places of one round, whose first regime is as likely as any.
 */
export function worthOfDrafting({ world, cost, longest }: Stopping, rate: number, place: Place): number {
  const { count, survival, regime } = place
  if (count === longest) return 0
  const next = survival * world.acceptance[regime]!
  const others = world.acceptance.length - 1
  let later = 0
  for (let to = 0; to < world.acceptance.length; to++) {
    const share = to === regime ? world.stays : (1 - world.stays) / others
    if (share > 0)
      later += share * worthOfDrafting({ world, cost, longest }, rate, { count: count + 1, survival: next, regime: to })
  }
  return Math.max(0, next - rate * cost + later)
}

/** Most tokens for a pass of the target that any rule for stopping can reach (Dinkelbach: the rate at which none gains). */
export function bestRate(stopping: Stopping): number {
  let [low, high] = [0, 1 + stopping.longest]
  const regimesOf = stopping.world.acceptance.map((_, regime) => regime)
  for (let i = 0; i < 60; i++) {
    const rate = (low + high) / 2
    const worth = regimesOf.map((regime) => worthOfDrafting(stopping, rate, { count: 0, survival: 1, regime }))
    const gain = 1 - rate + worth.reduce((sum, one) => sum + one, 0) / worth.length
    if (gain > 0) low = rate
    else high = rate
  }
  return low
}
