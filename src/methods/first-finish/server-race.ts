/** First finish search on a server: the same race and the same counts, lanes at the server's own pace. */
import { ForerunError } from "../../base/errors.ts"
import { type AnswerKind, findAnswer } from "../../decoding/answer.ts"
import type { StreamEvent } from "../../decoding/step.ts"
import { type LaneReport, type RaceOutcome, raceOutcome } from "./outcome.ts"
import { race } from "./race.ts"
import { createServerLane, type ServerRequest } from "./server-lane.ts"

export interface ServerRace {
  readonly request: ServerRequest
  readonly lanes: number
  readonly first: number
  readonly answer: AnswerKind
}

/** @throws E_PEER, E_OPTION */
export async function* raceOnServer(
  { request, lanes: count, first, answer: kind }: ServerRace,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, RaceOutcome> {
  if (first > count)
    throw new ForerunError("E_OPTION", `first must be at most the number of lanes, ${count}; found ${first}`)
  const lanes = Array.from({ length: count }, (_, i) =>
    createServerLane(i, { ...request, seed: request.seed + i }, signal),
  )
  const ends = yield* race(lanes, { schedule: "async", first }, signal)
  const reports = lanes.map(({ text, length }, i): LaneReport => {
    const answer = ends[i] === "finished" ? findAnswer(text, kind) : undefined
    return { end: ends[i]!, tokens: length, text, ...(answer === undefined ? {} : { answer }) }
  })
  // Whether the server shares the prompt between lanes cannot be seen from here.
  const prefillTokens = lanes.reduce((sum, { promptTokens = 0 }) => sum + promptTokens, 0)
  return raceOutcome(reports, { keep: "first", count: first }, { aborted: signal.aborted, prefillTokens })
}
