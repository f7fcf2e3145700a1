/** First finish search: several samples of one prompt at once, and the one that ends first is the answer. */
import { ForerunError } from "../../base/errors.ts"
import { type AnswerKind, answerKinds, findAnswer } from "../../decoding/answer.ts"
import type { Context, Method, OptionTable, Prompt } from "../../decoding/method.ts"
import { prefill } from "../../decoding/prefill.ts"
import type { Step } from "../../decoding/step.ts"
import { beamSearch } from "./beam.ts"
import { createLane, type MethodLane } from "./lane.ts"
import { type LaneReport, type RaceOutcome, raceOutcome } from "./outcome.ts"
import { type LaneEnd, race, type Schedule, schedules } from "./race.ts"

const options = {
  lanes: { type: "integer", default: 4, low: 1, high: 64, description: "how many samples race" },
  first: { type: "integer", default: 1, low: 1, high: 64, description: "how many finishes end the race and vote" },
  schedule: { type: "string", default: "sync", choices: schedules, description: "how lanes take turns" },
  strategy: {
    type: "string",
    default: "first",
    choices: ["first", "last", "beam"],
    description: "hear the first to finish, the longest of all, or search with beams instead of samples",
  },
  stopOn: {
    type: "string",
    default: "end",
    choices: ["end", "end-of-thinking"],
    description: "what counts as a finish; after the end of thinking, winners go on to their end",
  },
  thinkEnd: { type: "string", default: "</think>", description: "text that ends the thinking" },
  answer: { type: "string", default: "text", choices: answerKinds, description: "what of a text is voted on" },
  requireAnswer: { type: "boolean", default: false, description: "only a text with an answer counts as finished" },
} as const satisfies OptionTable

export const firstFinish: Method<Prompt, RaceOutcome> = {
  name: "first-finish",
  summary: "Races several samples of one prompt and stops at the first that ends.",
  paper: {
    title: "First Finish Search: Efficient Test-Time Scaling in Large Language Models",
    authors: "Agarwal, Sengupta, Chakraborty",
    year: 2025,
    arxiv: "2505.18149",
  },
  promise: () => "approximate",
  needs: { target: ["causal-cache"] },
  options,
  trained: false,
  verb: "race",
  wraps: true,
  run,
}

async function* run(prompt: Prompt, given: Context): AsyncGenerator<Step, RaceOutcome> {
  check(prompt, given)
  const room = given.models.target.config.context - prompt.tokens.length
  const limits = { ...given.limits, maxTokens: Math.min(given.limits.maxTokens, room) }
  const context = { ...given, limits }
  const { lanes, first, strategy } = context.options as { lanes: number; first: number; strategy: string }
  const { target } = context.models
  const cache = target.openCache()
  try {
    const logits = yield* prefill(target, cache, prompt.tokens, { signal: context.signal })
    if (!logits) return nothing(cache.length)
    const read = { tokens: prompt.tokens, read: { cache, logits } }
    if (strategy === "beam") return await beamOutcome(read, lanes, context)
    const running = Array.from({ length: lanes }, (_, branch) => createLane(branch, read, context, laneRules(context)))
    for (let branch = 0; branch < lanes; branch++) yield { type: "branch-started", branch }
    const schedule = context.options.schedule as Schedule
    const waited = strategy === "last" ? lanes : first
    const raced = yield* raceToTheEnd(running, { schedule, first: waited }, context)
    return outcomeOf(running, raced, { context, prefillTokens: cache.length })
  } finally {
    cache.dispose()
  }
}

/** After the end of thinking, the winners' answers are decoded too, and counted. */
async function* raceToTheEnd(
  lanes: readonly MethodLane[],
  rules: { readonly schedule: Schedule; readonly first: number },
  context: Context,
): AsyncGenerator<Step, LaneEnd[]> {
  if (context.options.stopOn === "end") return yield* race(lanes, rules, context.signal)
  const going = new Set<MethodLane>()
  const held = lanes.map((lane, i) => ({
    get length() {
      return lane.length
    },
    async advance() {
      const news = await lane.advance()
      if (news.ended === "finished") going.add(lanes[i]!)
      return news
    },
    cancel: async () => (going.has(lane) ? undefined : lane.cancel()),
  }))
  try {
    const ends = yield* race(held, rules, context.signal)
    for (const lane of going) yield* lane.complete()
    return ends
  } finally {
    await Promise.all(lanes.map((lane) => lane.cancel()))
  }
}

function laneRules({ options }: Context) {
  const { stopOn, thinkEnd, requireAnswer, answer } = options
  const accepts = (text: string) => !requireAnswer || findAnswer(text, answer as AnswerKind) !== undefined
  return stopOn === "end" ? { accepts } : { accepts, finishText: thinkEnd as string }
}

function outcomeOf(
  lanes: readonly MethodLane[],
  ends: readonly LaneEnd[],
  { context, prefillTokens }: { readonly context: Context; readonly prefillTokens: number },
): RaceOutcome {
  const {
    strategy,
    first,
    answer: kind,
  } = context.options as { strategy: "first" | "last"; first: number; answer: AnswerKind }
  const reports = lanes.map(({ text, length }, i): LaneReport => {
    const end = ends[i]!
    return { end, tokens: length, text, ...(end === "finished" ? { answer: findAnswer(text, kind) } : {}) }
  })
  const read = lanes.reduce((sum, lane) => sum + lane.prefillTokens, prefillTokens)
  return raceOutcome(
    reports,
    { keep: strategy, count: first },
    { aborted: context.signal.aborted, prefillTokens: read },
  )
}

async function beamOutcome(prompt: Required<Prompt>, width: number, context: Context): Promise<RaceOutcome> {
  const found = await beamSearch(prompt, width, context)
  const { finished, sequentialTokens, totalTokens } = found
  const text = context.tokenizer.decode(found.tokens, { skipSpecial: true, continues: true })
  const answer = finished ? findAnswer(text, context.options.answer as AnswerKind) : undefined
  const own = found.tokens.length
  return {
    status: context.signal.aborted ? "abort" : finished ? "finished" : "no-finish",
    text,
    ...(answer === undefined ? {} : { answer }),
    winners: finished ? [0] : [],
    finishedLengths: finished ? [own] : [],
    sequentialTokens,
    totalTokens,
    cancelledTokens: totalTokens - own,
    prefillTokens: prompt.tokens.length,
    lanes: [{ end: finished ? "finished" : "unfinished", tokens: own, text, ...(finished ? { answer } : {}) }],
  }
}

/** Aborted before the prompt was read. */
const nothing = (prefillTokens: number): RaceOutcome => ({
  status: "abort",
  text: "",
  winners: [],
  finishedLengths: [],
  sequentialTokens: 0,
  totalTokens: 0,
  cancelledTokens: 0,
  prefillTokens,
  lanes: [],
})

function check(prompt: Prompt, { sampler, options, inner, models }: Context): void {
  const { lanes, first, strategy, stopOn, thinkEnd, schedule } = options as Record<string, string | number>
  const tokens = prompt?.tokens
  if (!(tokens instanceof Int32Array) || tokens.length === 0)
    throw new ForerunError("E_INPUT", "a race needs a prompt of at least one token")
  if (tokens.length >= models.target.config.context)
    throw new ForerunError(
      "E_CONTEXT_LENGTH",
      `the prompt has ${tokens.length} tokens, the context ${models.target.config.context}`,
    )
  const refuse = (message: string): never => {
    throw new ForerunError("E_OPTION", message)
  }
  if (!inner) refuse("first-finish needs a method to run")
  if (first! > lanes!) refuse(`first must be at most the number of lanes, ${lanes}; found ${first}`)
  if (sampler.greedy && Number(lanes) > 1 && strategy !== "beam")
    refuse("lanes differ only when sampling: set a temperature")
  if (stopOn === "end-of-thinking" && thinkEnd === "") refuse("thinkEnd needs a text")
  if (schedule === "one-by-one" && strategy === "last")
    refuse("the longest are known only when all lanes run to their end")
}
