/** Races on a tiny model: lanes are plain runs of their own, the shortest wins, and every cost is counted. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { contextOf, defaultPrompt, runMethod, watched } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { logSumExp64 } from "../../../test/support/tiny-runner.ts"
import type { Method, Prompt } from "../../decoding/method.ts"
import { resolveOptions } from "../../decoding/options.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { createRandom } from "../../tensor/random.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { promptLookup } from "../prompt-lookup/prompt-lookup.ts"
import { firstFinish } from "./first-finish.ts"
import type { RaceOutcome } from "./outcome.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 12,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 12,
  context: 300,
}
const stopIds = [7]
const sampling = { temperature: 1.1 }
const prompt = defaultPrompt

let target: SessionRunner
beforeAll(async () => {
  target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
})
afterAll(() => target.dispose())

interface Settings {
  readonly seed?: number
  readonly maxTokens?: number
  readonly signal?: AbortSignal
  readonly temperature?: number
  readonly input?: unknown
  readonly inner?: Method
}

async function raced(options: Record<string, unknown>, settings: Settings = {}, runner: ModelRunner = target) {
  const { temperature = 1.1, input = { tokens: Int32Array.from(prompt) }, inner = autoregressive, ...rest } = settings
  const base = { options, stopIds, maxTokens: 60, sampling: { temperature }, ...rest }
  const context = contextOf(firstFinish as unknown as Method, { target: runner }, base)
  const run = firstFinish.run(input as Prompt, { ...context, inner: { method: inner, options: resolveOptions(inner) } })
  const steps: Step[] = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { steps, outcome: next.value as RaceOutcome }
    steps.push(next.value)
  }
}

/** What lane `i` would decode alone, to its end. */
async function alone(seed: number, i: number, maxTokens = 60): Promise<number[]> {
  const base = createRandom(seed).fork("sample")
  const random = i === 0 ? base : base.fork(`lane ${i}`)
  const { outcome } = await runMethod(autoregressive, { target }, { random, stopIds, maxTokens, sampling })
  return outcome.tokens.map(({ id }) => id)
}

const committed = (steps: readonly Step[], branch: number) =>
  steps.flatMap((step) =>
    step.type === "tokens-committed" && step.branch === branch ? step.tokens.map(({ id }) => id) : [],
  )

describe("first finish", () => {
  test("one lane is plain decoding, bit for bit", async () => {
    for (const seed of [1, 2, 3]) {
      const { steps, outcome } = await raced({ lanes: 1 }, { seed })
      const { outcome: plain } = await runMethod(autoregressive, { target }, { seed, stopIds, maxTokens: 60, sampling })
      expect(committed(steps, 0)).toEqual(plain.tokens.map(({ id }) => id))
      expect(outcome.status === "finished").toBe(plain.reason === "stop")
    }
  })

  test.each(["sync", "round-robin", "one-by-one"])(
    "%s: the winner is the shortest of the full runs",
    async (schedule) => {
      for (const seed of [11, 12, 13]) {
        const runs = await Promise.all([0, 1, 2, 3].map((i) => alone(seed, i)))
        const ends = runs.flatMap((tokens, i) => (tokens.at(-1) === 7 ? [{ i, length: tokens.length }] : []))
        const shortest = Math.min(...ends.map(({ length }) => length))
        const { steps, outcome } = await raced({ lanes: 4, schedule }, { seed })
        expect(outcome.winners).toEqual(ends.filter(({ length }) => length === shortest).map(({ i }) => i))
        expect(outcome.finishedLengths[0]).toBe(shortest)
        for (const [i, { tokens }] of outcome.lanes.entries())
          expect(committed(steps, i)).toEqual(runs[i]!.slice(0, tokens))
        if (schedule === "one-by-one") continue
        expect(outcome.sequentialTokens).toBe(shortest)
        expect(outcome.totalTokens).toBe(runs.reduce((sum, { length }) => sum + Math.min(length, shortest), 0))
        expect(outcome.cancelledTokens).toBe(outcome.totalTokens - outcome.winners.length * shortest)
      }
    },
  )

  test("the prompt is read once, losers take no further pass, and every cache is freed", async () => {
    const watch = watched(target)
    const { outcome } = await raced({ lanes: 4 }, { seed: 11 }, watch.runner)
    expect(outcome.prefillTokens).toBe(prompt.length)
    // A lane's first token comes from the prompt's logits, and none decodes beyond the winner.
    expect(watch.passes).toHaveLength(1 + 4 * (outcome.sequentialTokens - 1))
    expect(watch.caches.filter((cache) => !cache.disposed)).toEqual([])
    expect(watch.caches).toHaveLength(5)
  })

  test("first k of n; all of n is the majority over everything", async () => {
    const runs = await Promise.all([0, 1, 2, 3].map((i) => alone(21, i)))
    const lengths = runs
      .filter((tokens) => tokens.at(-1) === 7)
      .map(({ length }) => length)
      .sort((a, b) => a - b)
    expect(lengths.length).toBeGreaterThan(2)
    const two = (await raced({ lanes: 4, first: 2 }, { seed: 21 })).outcome
    expect(two.sequentialTokens).toBe(lengths[1])
    const all = (await raced({ lanes: 4, first: 4 }, { seed: 21 })).outcome
    expect(all.totalTokens).toBe(runs.reduce((sum, { length }) => sum + length, 0))
    expect(all.cancelledTokens).toBe(0)
    const last = (await raced({ lanes: 4, strategy: "last" }, { seed: 21 })).outcome
    expect(last.finishedLengths[0]).toBe(lengths.at(-1))
    expect(last.totalTokens).toBe(all.totalTokens)
  })

  test("lanes of a lossless method decode what plain lanes do, and read the prompt no second time", async () => {
    const plain = await raced({ lanes: 3, first: 3 }, { seed: 21 })
    const ours = await raced({ lanes: 3, first: 3 }, { seed: 21, inner: promptLookup })
    expect(ours.steps.some(({ type }) => type === "draft-verified")).toBe(true)
    for (const lane of [0, 1, 2]) expect(committed(ours.steps, lane)).toEqual(committed(plain.steps, lane))
    expect(ours.outcome).toEqual(plain.outcome)
  })

  test("a lane at the limit has not finished; without a finish there is no answer", async () => {
    const { outcome } = await raced({ lanes: 3 }, { seed: 11, maxTokens: 1 })
    expect(outcome).toMatchObject({ status: "no-finish", winners: [], finishedLengths: [], totalTokens: 3 })
    expect(outcome.answer).toBeUndefined()
    expect(outcome.lanes.map(({ end }) => end)).toEqual(["unfinished", "unfinished", "unfinished"])
  })

  test("the end of thinking ends the race, then the winner alone goes on to its end", async () => {
    const { outcome: full } = await raced({ lanes: 4, first: 4 }, { seed: 21 })
    // A text that several lanes contain, at places of their own: the tokenizer of the harness spells bytes.
    const texts = full.lanes.map(({ text }) => text).sort((a, b) => b.length - a.length)
    const mark = texts[0]!.slice(1, 2)
    const at = full.lanes.map(({ text }) => text.indexOf(mark))
    const { outcome } = await raced({ lanes: 4, stopOn: "end-of-thinking", thinkEnd: mark }, { seed: 21 })
    const winner = outcome.winners[0]!
    expect(at[winner]).toBe(Math.min(...at.filter((index) => index >= 0)))
    expect(outcome.lanes[winner]!.text).toBe(full.lanes[winner]!.text)
    for (const { end, tokens } of outcome.lanes.filter(({ end }) => end === "cancelled"))
      expect([end, tokens <= at[winner]! + 1]).toEqual(["cancelled", true])
  })

  test("an end inside the thinking is no finish where the end of thinking is asked for", async () => {
    const { outcome } = await raced({ lanes: 3, stopOn: "end-of-thinking", thinkEnd: "never spelt" }, { seed: 21 })
    expect(outcome.status).toBe("no-finish")
  })

  test("an answer can be required of a finish", async () => {
    const { outcome } = await raced({ lanes: 3, answer: "boxed", requireAnswer: true }, { seed: 21 })
    expect(outcome).toMatchObject({ status: "no-finish", winners: [] })
    const honest = (await raced({ lanes: 3, answer: "boxed" }, { seed: 21 })).outcome
    expect([honest.status, honest.answer]).toEqual(["finished", undefined])
  })

  test("the same seed gives the same steps, another seed others", async () => {
    const first = await raced({ lanes: 3 }, { seed: 5 })
    expect(await raced({ lanes: 3 }, { seed: 5 })).toEqual(first)
    expect((await raced({ lanes: 3 }, { seed: 6 })).steps).not.toEqual(first.steps)
  })

  test("abort, failure, a caller who leaves: no pass begins after it and no cache stays", async () => {
    for (const schedule of ["sync", "async", "round-robin", "one-by-one"]) {
      const controller = new AbortController()
      const watch = watched(target, (number) => number === 6 && controller.abort())
      const { outcome } = await raced(
        { lanes: 3, first: 3, schedule },
        { seed: 21, signal: controller.signal },
        watch.runner,
      )
      expect(outcome.status).toBe("abort")
      expect(watch.passes.length).toBeLessThanOrEqual(6 + 2) // passes of the other lanes that were asked for before
      const broken = watched(target, (number) => {
        if (number === 5) throw new Error("the fifth pass fails")
      })
      await expect(raced({ lanes: 3, first: 3, schedule }, { seed: 21 }, broken.runner)).rejects.toThrow("fifth pass")
      for (const { caches } of [watch, broken]) expect(caches.filter((cache) => !cache.disposed)).toEqual([])
    }
  })
})

describe("beam search", () => {
  test("one beam is greedy decoding", async () => {
    const greedy = await runMethod(autoregressive, { target }, { stopIds, maxTokens: 20 })
    const watch = watched(target)
    const { outcome } = await raced({ lanes: 1, strategy: "beam" }, { temperature: 0, maxTokens: 20 }, watch.runner)
    expect(outcome.lanes[0]!.tokens).toBe(greedy.outcome.tokens.length)
    expect(watch.caches.filter((cache) => !cache.disposed)).toEqual([])
  })

  test("as many beams as tokens find the likeliest two tokens there are", async () => {
    const laws: number[][] = []
    const law = async (tokens: number[]) => {
      const pass = await target.forward({
        input: { tokens: Int32Array.from([...prompt, ...tokens]) },
        want: { logits: "last" },
      })
      const mass = logSumExp64(pass.logits!.data)
      return Array.from(pass.logits!.data, (logit) => logit - mass)
    }
    const first = await law([])
    for (let id = 0; id < 12; id++) laws.push(await law([id]))
    const pairs = first.flatMap((p, a) => laws[a]!.map((q, b) => ({ tokens: [a, b], logprob: p + q })))
    const best = pairs.reduce((one, other) => (other.logprob > one.logprob ? other : one))
    const context = contextOf(firstFinish as unknown as Method, { target }, { maxTokens: 2 })
    const { beamSearch } = await import("./beam.ts")
    const cache = target.openCache()
    const pass = await target.forward({ input: { tokens: Int32Array.from(prompt) }, cache, want: { logits: "last" } })
    pass.keep(prompt.map((_, i) => i))
    const read = { cache, logits: pass.logits!.data }
    const found = await beamSearch({ tokens: Int32Array.from(prompt), read }, 12, context)
    expect(found.tokens).toEqual(best.tokens)
    expect(found.logprob).toBeCloseTo(best.logprob, 9)
    // A token that ends an answer: a whole answer goes before a longer one that is none yet.
    const ending = { ...context, limits: { maxTokens: 2, stopIds: new Set([best.tokens[0]!]) } }
    expect((await beamSearch({ tokens: Int32Array.from(prompt), read }, 12, ending)).finished).toBe(true)
    cache.dispose()
  })
})

describe("what it refuses", () => {
  test.each<[Record<string, unknown>, Settings, string]>([
    [{ lanes: 2, first: 3 }, {}, "E_OPTION"],
    [{ lanes: 2 }, { temperature: 0 }, "E_OPTION"],
    [{ lanes: 2, strategy: "last", schedule: "one-by-one" }, {}, "E_OPTION"],
    [{ stopOn: "end-of-thinking", thinkEnd: "" }, {}, "E_OPTION"],
    [{}, { input: {} }, "E_INPUT"],
    [{}, { input: { tokens: Int32Array.of() } }, "E_INPUT"],
    [{}, { input: { tokens: new Int32Array(300) } }, "E_CONTEXT_LENGTH"],
  ])("%j %j", async (options, settings, code) => {
    await expect(raced(options, settings)).rejects.toMatchObject({ code })
  })

  test("documented options, all defaults accepted", () => {
    const defaults = resolveOptions(firstFinish)
    expect(resolveOptions(firstFinish, defaults)).toEqual(defaults)
    expect(firstFinish.promise(defaults)).toBe("approximate")
  })
})
