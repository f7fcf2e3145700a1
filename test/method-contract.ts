/** What every method is held to (the laws of ARCHITECTURE §5). A method's own test file calls this with its method. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { tokenLogprobs } from "../src/decoding/logprobs.ts"
import type { Context, Method } from "../src/decoding/method.ts"
import type { OpenedPart } from "../src/decoding/method-part.ts"
import { resolveOptions } from "../src/decoding/options.ts"
import type { SamplingOptions } from "../src/decoding/sampling-options.ts"
import { autoregressive } from "../src/methods/autoregressive/autoregressive.ts"
import type { Checkpoint } from "../src/models/files/checkpoint.ts"
import type { WeightFormat } from "../src/models/formats.ts"
import { loadRunner } from "../src/runtime/load-runner.ts"
import type { SessionRunner } from "../src/runtime/model-runner.ts"
import type { ModelRunner } from "../src/runtime/pass.ts"
import {
  bitsText,
  chiSquareDeviate,
  contextOf,
  defaultPrompt,
  type MethodRun,
  type RunSettings,
  runMethod,
  watched,
} from "./support/method-harness.ts"
import { type MakeTestPart, openTestPart } from "./support/test-part.ts"
import { contractModel, type TinyModel, tinyCheckpoint } from "./support/tiny-model.ts"
import { greedy, logSumExp64 } from "./support/tiny-runner.ts"

export interface ContractOptions {
  /** Settings of the method's own options that are tested; default: its defaults. */
  readonly optionSets?: readonly Readonly<Record<string, unknown>>[]
  /** Settings under which only the law of sampled output is plain decoding's, not its tokens for a seed. */
  readonly equalInLawOnly?: (options: Readonly<Record<string, unknown>>) => boolean
  /** Other models a method needs beside the target, made for it: random or adversarial drafts. */
  readonly companions?: (target: ModelRunner) => Promise<Omit<Context["models"], "target">>
  /** The text that is expected, for a method that takes one: right, wrong or something between. */
  readonly prediction?: (target: ModelRunner) => Promise<readonly number[]>
  /** The weights of a method that declares `part`, for each target anew. Untrained ones will do. */
  readonly part?: MakeTestPart
}

const model = contractModel
const small: TinyModel = { ...model, seed: 78, vocabulary: 8 }

/** Alone and together, greedy too: penalties and bias change the likeliest token. */
const samplings: readonly SamplingOptions[] = [
  { temperature: 0.8 },
  { temperature: 1.3, topP: 0.8 },
  { temperature: 1.3, topK: 5 },
  { temperature: 1.3, minP: 0.1 },
  { temperature: 1, repetitionPenalty: 1.4 },
  { temperature: 1, presencePenalty: 1.5 },
  { temperature: 1, frequencyPenalty: 1 },
  { temperature: 1, logitBias: { 3: 4, 7: -100 } },
  { temperature: 1.5, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2, logitBias: { 1: -5 } },
  { repetitionPenalty: 1.5, presencePenalty: 1, frequencyPenalty: 0.5, logitBias: { 5: 3 } },
]

/** By the model's config: one for each model. */
const checkpoints = new WeakMap<object, Checkpoint>()

function open(tiny: TinyModel, weights: WeightFormat): Promise<SessionRunner> {
  const checkpoint = tinyCheckpoint(tiny)
  checkpoints.set(checkpoint.config, checkpoint)
  return loadRunner(checkpoint, { weights, threads: 1, device: "cpu" })
}

export function methodContract(method: Method, contract: ContractOptions = {}): void {
  const { optionSets = [{}], companions, equalInLawOnly = () => false } = contract
  const known = new WeakMap<object, Promise<Pick<RunSettings, "prediction" | "part">>>() // by the model's config
  const parts: OpenedPart[] = []
  const make = async (target: ModelRunner) => {
    const part = contract.part && (await openTestPart(method, checkpoints.get(target.config)!, contract.part))
    if (part) parts.push(part)
    const prediction = await contract.prediction?.(target)
    return { ...(part ? { part } : {}), ...(prediction ? { prediction } : {}) }
  }
  /** What a run on this target is given beside the models. */
  const givenFor = (target: ModelRunner) => {
    const given = known.get(target.config) ?? make(target)
    known.set(target.config, given)
    return given
  }
  afterAll(async () => {
    for (const part of parts) await part.dispose()
  })
  const modelsFor = async (target: ModelRunner) => ({ ...(await companions?.(target)), target })

  describe(`${method.name}: what it says of itself`, () => {
    test("name, summary and paper", () => {
      expect(method.name).toMatch(/^[a-z][a-z0-9-]*$/)
      expect(method.summary).toMatch(/^[A-Z].*\.$/)
      expect(method.paper.title.length * method.paper.authors.length).toBeGreaterThan(0)
      expect(method.paper.year).toBeGreaterThan(1900)
    })

    test("options: documented, and every default is accepted", () => {
      const defaults = resolveOptions(method)
      expect(resolveOptions(method, defaults)).toEqual(defaults)
      for (const spec of Object.values(method.options)) expect(spec.description.length).toBeGreaterThan(10)
      expect(() => resolveOptions(method, { "no-such-option": 1 })).toThrow(
        expect.objectContaining({ code: "E_OPTION" }),
      )
    })

    test("needs nothing that no model offers", async () => {
      const target = await open(model, "f32")
      expect((method.needs.target ?? []).filter((ability) => !target.abilities.has(ability))).toEqual([])
      await target.dispose()
    })
  })

  describe.each(optionSets)(`${method.name} %o`, (options) => {
    let target: SessionRunner
    beforeAll(async () => {
      target = await open(model, "f32")
      await givenFor(target) // its passes are not those of a test
    })
    afterAll(() => target.dispose())
    const run = async (settings: RunSettings, runner: ModelRunner = target): Promise<MethodRun> =>
      runMethod(method, await modelsFor(runner), { options, ...(await givenFor(runner)), ...settings })
    const hot = { temperature: 1.2 }

    test("replaying its steps, sent through JSON, gives its outcome", async () => {
      for (const settings of [{}, { sampling: hot, logprobs: 3 }]) {
        const { steps, outcome } = await run(settings)
        const canvas = new Map<number, unknown>()
        for (const step of JSON.parse(JSON.stringify(steps)) as typeof steps)
          if (step.type === "tokens-committed" && step.branch === 0)
            for (const [i, position] of step.positions.entries()) canvas.set(position, step.tokens[i])
        const positions = outcome.tokens.map((_, i) => defaultPrompt.length + i)
        expect([...canvas.keys()].sort((a, b) => a - b)).toEqual(positions)
        expect(positions.map((position) => canvas.get(position))).toEqual(JSON.parse(JSON.stringify(outcome.tokens)))
      }
    })

    test("the same seed gives the same steps, another seed others", async () => {
      const first = await run({ sampling: hot, seed: 5 })
      expect(await run({ sampling: hot, seed: 5 })).toEqual(first)
      expect((await run({ sampling: hot, seed: 6 })).outcome.tokens).not.toEqual(first.outcome.tokens)
    })

    test("abort: no pass begins after it, whichever pass it meets", async () => {
      const long = Array.from({ length: 300 }, (_, i) => i % model.vocabulary)
      for (const prompt of [defaultPrompt, long]) {
        const whole = watched(target)
        await run({ prompt }, whole.runner)
        // The last pass is left out: a run that has reached its end is no longer aborted.
        for (const at of [1, 2, 3, 7].filter((number) => number < whole.passes.length)) {
          const controller = new AbortController()
          const watch = watched(target, (number) => number === at && controller.abort())
          const { outcome } = await run({ prompt, signal: controller.signal }, watch.runner)
          expect(outcome.reason).toBe("abort")
          expect(watch.passes).toHaveLength(at)
          expect(watch.caches.every((cache) => cache.disposed)).toBe(true)
        }
      }
      const watch = watched(target)
      expect((await run({ signal: AbortSignal.abort() }, watch.runner)).outcome).toEqual({
        tokens: [],
        reason: "abort",
      })
      expect(watch.passes).toEqual([])
    })

    test("caches are disposed at the end, when the caller leaves, and when a pass fails", async () => {
      const ended = watched(target)
      await run({}, ended.runner)
      expect(ended.caches.length).toBeGreaterThan(0)
      expect(ended.caches.filter((cache) => !cache.disposed)).toEqual([])

      const left = watched(target)
      const context = contextOf(method, await modelsFor(left.runner), { options, ...(await givenFor(target)) })
      const generator = method.run({ tokens: Int32Array.from(defaultPrompt) }, context)
      await generator.next()
      await generator.return({ tokens: [], reason: "abort" })
      expect(left.caches.filter((cache) => !cache.disposed)).toEqual([])

      const broken = watched(target, (number) => {
        if (number === 3) throw new Error("the third pass fails")
      })
      await expect(run({}, broken.runner)).rejects.toThrow("the third pass fails")
      expect(broken.caches.filter((cache) => !cache.disposed)).toEqual([])
    })

    test("stop ids end it at their first occurrence, limits to the token", async () => {
      const free = (await run({})).outcome.tokens.map(({ id }) => id)
      expect(free).toHaveLength(24)
      for (const id of new Set(free)) {
        const { outcome } = await run({ stopIds: [id] })
        expect([outcome.tokens.map((token) => token.id), outcome.reason]).toEqual([
          free.slice(0, free.indexOf(id) + 1),
          "stop",
        ])
      }
      for (const maxTokens of [1, 2, 3, 5, 8, 23]) {
        const { outcome } = await run({ maxTokens })
        expect([outcome.tokens.map(({ id }) => id), outcome.reason]).toEqual([free.slice(0, maxTokens), "length"])
      }
    })

    test("the ledger counts the passes and rows that were run", async () => {
      const watch = watched(target)
      const before = target.ledger.totals()
      await run({}, watch.runner)
      const { passes, rows } = target.ledger.since(before)
      expect(passes).toBe(watch.passes.length)
      const given = watch.passes.map(({ input }) => ("tokens" in input ? input.tokens.length : Number.NaN))
      if (!given.some(Number.isNaN)) expect(rows).toBe(given.reduce((sum, count) => sum + count, 0))
    })

    const lossless = method.promise(resolveOptions(method, options)) === "lossless"
    test.runIf(lossless).each<WeightFormat>(["f32", "q8", "as-is"])(
      "lossless in %s: greedy tokens, log-probabilities and logits are plain decoding's, bit for bit",
      async (weights) => {
        for (const seed of [77, 177, 277]) {
          const tiny: TinyModel = { ...model, seed, ...(weights === "as-is" ? { blocks: "Q8_0" as const } : {}) }
          const runner = await open(tiny, weights)
          const plain = await greedy(runner, defaultPrompt, 140) // over the end of a block
          const watch = watched(runner)
          const { outcome } = await run({ maxTokens: 140, logprobs: 4 }, watch.runner)
          expect(outcome.tokens.map(({ id }) => id)).toEqual(plain.tokens)
          const expected = plain.logits.map((row, i) => tokenLogprobs(row, plain.tokens[i]!, 4))
          expect(outcome.tokens.map(({ logprob, top }) => ({ logprob, top }))).toEqual(
            expected.map(({ logprob, top }) => ({ logprob, top })),
          )
          // A method that asks for whole rows shows the very rows of plain decoding.
          if (watch.logits.size > 0) expect(plain.logits.filter((row) => !watch.logits.has(bitsText(row)))).toEqual([])
          await runner.dispose()
        }
      },
    )

    test.runIf(lossless && !equalInLawOnly(options)).each<WeightFormat>(["f32", "q8"])(
      "lossless in %s: for a seed, the sampled tokens and log-probabilities of plain decoding, under every processor",
      async (weights) => {
        const runner = await open(model, weights)
        for (const [seed, sampling] of samplings.entries()) {
          const settings = { sampling, seed, maxTokens: 40, logprobs: 2 }
          const plain = await runMethod(autoregressive, { target: runner }, settings)
          expect((await run(settings, runner)).outcome).toEqual(plain.outcome)
        }
        await runner.dispose()
      },
    )

    test.runIf(lossless)(
      "lossless: two sampled tokens follow the exact law (chi-square over all 64 pairs)",
      async () => {
        const runner = await open(small, "f32")
        const temperature = 0.8
        const [first, second] = [await lawAfter(runner, [], temperature), [] as number[][]]
        for (let id = 0; id < 8; id++) second.push(await lawAfter(runner, [id], temperature))
        const pairs = first.flatMap((p, a) => second[a]!.map((q) => p * q))
        const counts = pairs.map(() => 0)
        for (let seed = 0; seed < 1500; seed++) {
          const { outcome } = await run({ sampling: { temperature }, seed, maxTokens: 2 }, runner)
          counts[outcome.tokens[0]!.id * 8 + outcome.tokens[1]!.id]!++
        }
        expect(chiSquareDeviate(counts, pairs)).toBeLessThan(3.7) // one in ten thousand
        // The test has teeth: the law at another temperature is refused.
        const colder = await lawAfter(runner, [], 0.65)
        const firsts = first.map((_, a) => counts.slice(a * 8, a * 8 + 8).reduce((sum, count) => sum + count, 0))
        expect(chiSquareDeviate(firsts, colder)).toBeGreaterThan(3.7)
        await runner.dispose()
      },
    )
  })
}

/** Softmax of the logits after the prompt and some tokens, in float64. */
async function lawAfter(runner: SessionRunner, tokens: readonly number[], temperature: number): Promise<number[]> {
  const pass = await runner.forward({
    input: { tokens: Int32Array.from([...defaultPrompt, ...tokens]) },
    want: { logits: "last" },
  })
  const scaled = Array.from(pass.logits!.data, (logit) => logit / temperature)
  const mass = logSumExp64(scaled)
  return scaled.map((logit) => Math.exp(logit - mass))
}
