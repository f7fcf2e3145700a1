/** Lets lanes run until enough have finished and cancels the rest within one step. Knows no model: lanes may be anywhere. */
import { settleAll } from "../../base/settle.ts"
import type { Step, StreamEvent } from "../../decoding/step.ts"

/** What happened in a lane since it was last asked. */
export interface LaneNews<Event = Step> {
  readonly steps: readonly Event[]
  /** Set once: finished is a finish; unfinished ran into a limit, or ended without what counts as one. */
  readonly ended?: "finished" | "unfinished"
}

export interface Lane<Event = Step> {
  /** Tokens decoded so far. */
  readonly length: number
  /** Goes on by one step: usually a token, several where the method commits several at once. */
  advance(): Promise<LaneNews<Event>>
  /** Ends it and frees what it holds; waits for a step that is under way. */
  cancel(): Promise<void>
}

/**
 * sync: all lanes step together; round-robin: the same, one after the other; async: each at its own pace, so the first to
 * finish need not be the shortest; one-by-one: each to its end, given up where the shortest so far ended.
 */
export const schedules = ["sync", "async", "round-robin", "one-by-one"] as const
export type Schedule = (typeof schedules)[number]

export interface RaceRules {
  readonly schedule: Schedule
  /** How many finishes end the race. */
  readonly first: number
}

/** How each lane ended, in the lanes' order. */
export type LaneEnd = "finished" | "unfinished" | "cancelled"

/** Yields the lanes' steps as they happen. Every lane is ended when this ends, however it ends. */
export async function* race<Event extends StreamEvent>(
  lanes: readonly Lane<Event>[],
  { schedule, first }: RaceRules,
  signal: AbortSignal,
): AsyncGenerator<Event | Step, LaneEnd[]> {
  const ends: (LaneEnd | undefined)[] = lanes.map(() => undefined)
  const field: Field<Event> = {
    lanes,
    ends,
    aborted: () => signal.aborted,
    enough: () => signal.aborted || ends.filter((end) => end === "finished").length >= first,
    bound: () => nthShortest(lanes.flatMap(({ length }, i) => (ends[i] === "finished" ? [length] : [])), first), // biome-ignore format: one thought
  }
  try {
    yield* (runners[schedule] as unknown as Runner<Event>)(field)
  } finally {
    await Promise.all(lanes.map((lane) => lane.cancel()))
  }
  for (const [branch, end] of ends.entries()) if (!end) yield { type: "branch-ended", branch, reason: "cancelled" }
  return ends.map((end) => end ?? "cancelled")
}

interface Field<Event> {
  readonly lanes: readonly Lane<Event>[]
  readonly ends: (LaneEnd | undefined)[]
  aborted(): boolean
  enough(): boolean
  /** Length at which a lane can no longer be among the first. */
  bound(): number
}

type Runner<Event> = (field: Field<Event>) => AsyncGenerator<Event | Step, void>

const runners: Readonly<Record<Schedule, Runner<StreamEvent>>> = {
  async *sync(field) {
    while (!field.enough() && alive(field).length > 0) {
      const running = alive(field)
      const news = await settleAll(running.map((i) => field.lanes[i]!.advance()))
      for (const [at, i] of running.entries()) yield* tell(field, i, news[at]!)
    }
  },
  /** A round is finished even when the race is decided in it, so that the winner does not depend on the order of lanes. */
  async *"round-robin"(field) {
    while (!field.enough() && alive(field).length > 0)
      for (const i of alive(field)) yield* tell(field, i, await field.lanes[i]!.advance())
  },
  async *async(field) {
    const pending = new Map<number, Promise<{ i: number; news: LaneNews<StreamEvent> }>>()
    const start = (i: number) =>
      pending.set(
        i,
        field.lanes[i]!.advance().then((news) => ({ i, news })),
      )
    for (const i of alive(field)) start(i)
    try {
      while (!field.enough() && pending.size > 0) {
        const { i, news } = await Promise.race(pending.values())
        pending.delete(i)
        yield* tell(field, i, news)
        if (!news.ended && !field.enough()) start(i)
      }
    } finally {
      for (const promise of pending.values()) promise.catch(() => {}) // steps under way when the race was decided
    }
  },
  async *"one-by-one"(field) {
    for (const [i, lane] of field.lanes.entries())
      while (!field.ends[i] && !field.aborted() && lane.length < field.bound())
        yield* tell(field, i, await lane.advance())
  },
}

const alive = ({ ends }: Pick<Field<unknown>, "ends">): number[] =>
  ends.flatMap((end, i) => (end === undefined ? [i] : []))

function* tell<Event>(
  field: Field<Event>,
  i: number,
  { steps, ended }: LaneNews<Event>,
): Generator<Event | Step, void> {
  if (ended) field.ends[i] = ended
  yield* steps
  if (ended) yield { type: "branch-ended", branch: i, reason: ended }
}

function nthShortest(lengths: readonly number[], n: number): number {
  return [...lengths].sort((a, b) => a - b)[n - 1] ?? Number.POSITIVE_INFINITY
}
