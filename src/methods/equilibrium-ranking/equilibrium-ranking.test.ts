/** Prompts, likelihoods and the method on tiny models: what is asked of the model, and that each number is right. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { contextOf, watched } from "../../../test/support/method-harness.ts"
import { hasSmollm2, needsModels, smollm2 } from "../../../test/support/shared.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { logSumExp64, openRunner } from "../../../test/support/tiny-runner.ts"
import type { Method } from "../../decoding/method.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { tinyTokenizerJson } from "../../text/test-sources.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import { equilibriumRanking, type RankInput, type RankOutcome } from "./equilibrium-ranking.ts"
import { scoreRequest } from "./likelihoods.ts"
import { defaultPrompts, rankTexts, readPrompts } from "./prompts.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 31,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 267,
  context: 500,
}
const tokenizer = createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() })

let target: SessionRunner
beforeAll(async () => {
  target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
})
afterAll(() => target.dispose())

async function rank(
  input: unknown,
  options: Record<string, unknown> = {},
  runner: ModelRunner = target,
  signal?: AbortSignal,
) {
  const method = equilibriumRanking as unknown as Method
  const settings = { options, ...(signal ? { signal } : {}) }
  const run = equilibriumRanking.run(input as RankInput, contextOf(method, { target: runner }, settings))
  const steps = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { steps, outcome: next.value as RankOutcome }
    steps.push(next.value)
  }
}

/** ln P of what follows `before`, from one whole pass: the slow way. */
async function slowly(before: string, text: string): Promise<number> {
  const tokens = tokenizer.encode(before + text, { bos: tokenizer.addsBos })
  const own = tokens.length - tokenizer.encode(before, { bos: tokenizer.addsBos }).length
  const pass = await target.forward({ input: { tokens }, want: { logits: "all" } })
  let sum = 0
  for (let at = tokens.length - own; at < tokens.length; at++) {
    const row = pass.logits!.data.subarray((at - 1) * tiny.vocabulary, at * tiny.vocabulary)
    sum += row[tokens[at]!]! - logSumExp64(row)
  }
  return sum
}

const input: RankInput = { question: "Which is a river?", candidates: ["Po", "Etna", "Po", "Rigi peak"] }

describe("prompts", () => {
  test("the generator's two differ in the last label only, the judge sees question and candidate", () => {
    const exemplars = [{ question: "1 + 1?", candidate: "2" }]
    const texts = rankTexts({ question: "Say Answer: $&", candidates: ["{question}"] }, defaultPrompts, exemplars)
    expect(texts).toEqual({
      generator: [
        "Question: 1 + 1?\nAnswer: 2\n\nQuestion: Say Answer: $&\nAnswer:",
        "Question: 1 + 1?\nAnswer: 2\n\nQuestion: Say Answer: $&\nIncorrect Answer:",
      ],
      candidates: [" {question}"],
      discriminator: [
        "Question: 1 + 1?\nAnswer: 2\n\nQuestion: Say Answer: $&\nProposed answer: {question}\nThe proposed answer is",
      ],
      judgements: [" correct", " incorrect"],
    })
    const everywhere = rankTexts(input, { ...defaultPrompts, replaceInExemplars: true }, exemplars)
    expect(everywhere.generator[1]).toContain("1 + 1?\nIncorrect Answer: 2")
    expect(everywhere.generator[0]).not.toContain("Incorrect")
  })

  test.each([
    [{ generatr: "x" }, "no other names"],
    [{ judgements: ["yes"] }, "judgements of two texts"],
    [{ discriminator: "Is it right?" }, "{question}"],
    [{ answerLabel: "A:" }, "generator with A:"],
    [{ replaceInExemplars: "yes" }, "boolean"],
    ["x", "an object"],
  ])("refused: %j", (given, needed) => {
    expect(() => readPrompts(given)).toThrow(
      expect.objectContaining({ code: "E_INPUT", message: expect.stringContaining(needed) }),
    )
  })

  test("a text whose tokens join with those before it is scored from where they differ", () => {
    const fake = {
      addsBos: false,
      encode: (text: string) => Int32Array.from(text.match(/ab|./g)!, (t) => t.length * 1000 + t.charCodeAt(0)),
    }
    const joined = scoreRequest(fake as unknown as typeof tokenizer, "xa", "b")
    expect([joined.tokens.length, joined.from]).toEqual([2, 1])
  })
})

describe("on a tiny model", () => {
  test("the likelihoods are those of whole passes, candidate by candidate", async () => {
    const { outcome } = await rank(input)
    expect(outcome.candidates).toEqual(["Po", "Etna", "Rigi peak"])
    const texts = rankTexts({ ...input, candidates: outcome.candidates }, defaultPrompts)
    for (const [y, candidate] of texts.candidates.entries()) {
      for (const v of [0, 1] as const) {
        expect(outcome.likelihoods.generator[v]![y]).toBeCloseTo(await slowly(texts.generator[v], candidate), 9)
        const judgement = await slowly(texts.discriminator[y]!, texts.judgements[v])
        expect(outcome.likelihoods.discriminator[y]![v]).toBeCloseTo(judgement, 9)
      }
    }
  })

  test("shared beginnings are read once", async () => {
    const watch = watched(target)
    const before = target.ledger.totals()
    await rank(input, {}, watch.runner)
    const { generator, candidates, discriminator, judgements } = rankTexts(
      { ...input, candidates: ["Po", "Etna", "Rigi peak"] },
      defaultPrompts,
    )
    const sequences = [
      ...generator.flatMap((text) => candidates.map((candidate) => text + candidate)),
      ...discriminator.flatMap((text) => judgements.map((judgement) => text + judgement)),
    ].map((text) => Array.from(tokenizer.encode(text, { bos: tokenizer.addsBos })))
    const distinct = new Set(
      sequences.flatMap((tokens) => tokens.slice(0, -1).map((_, i) => tokens.slice(0, i + 1).join(" "))),
    )
    expect(target.ledger.since(before).rows).toBe(distinct.size)
    expect(watch.caches.filter((cache) => !cache.disposed)).toEqual([])
  })

  test("the steps hold the scores, the winners are their best, the same input gives the same", async () => {
    const { steps, outcome } = await rank(input)
    const [step] = JSON.parse(JSON.stringify(steps))
    for (const [name, scores] of Object.entries(outcome.scores)) {
      const replayed = scores.map((_, y) => step.scores[`${name}.${y}`])
      expect(replayed).toEqual(scores)
      expect(scores[outcome.winner[name as keyof typeof outcome.winner]]).toBe(Math.max(...scores))
    }
    expect((await rank(input)).outcome).toEqual(outcome)
  })

  test("a length norm divides by tokens; no iterations leave the initial policies", async () => {
    const plain = (await rank(input)).outcome
    const normed = (await rank(input, { lengthNorm: "tokens", iterations: 0 })).outcome
    for (const [y, tokens] of plain.candidateTokens.entries())
      expect(normed.likelihoods.generator[0]![y]).toBeCloseTo(plain.likelihoods.generator[0]![y]! / tokens, 12)
    expect(normed.scores["ER-G"]).toEqual(normed.scores.SC)
    expect(normed.scores["ER-D"]).toEqual(normed.scores.D)
  })

  test.each([
    [{ question: "", candidates: ["a"] }],
    [{ question: "q", candidates: [] }],
    [{ question: "q", candidates: ["a", ""] }],
    [{ question: "q", candidates: ["a"], exemplars: [{ question: "x" }] }],
    [undefined],
  ])("refused: %j", async (wrong) => {
    await expect(rank(wrong)).rejects.toMatchObject({ code: "E_INPUT" })
  })

  test("too long is a typed error, abort ends it, and no cache is left", async () => {
    const long = { question: "long ".repeat(300), candidates: ["a", "b"] }
    await expect(rank(long)).rejects.toMatchObject({ code: "E_CONTEXT_LENGTH" })
    const controller = new AbortController()
    const watch = watched(target, (number) => number === 2 && controller.abort())
    await expect(rank(input, {}, watch.runner, controller.signal)).rejects.toMatchObject({ code: "E_ABORTED" })
    expect(watch.passes).toHaveLength(2)
    expect(watch.caches.filter((cache) => !cache.disposed)).toEqual([])
  })
})

test("what it says of itself", () => {
  const defaults = resolveOptions(equilibriumRanking)
  expect(defaults).toMatchObject({ iterations: 5000, lambdaG: 0.1, etaD: 0.1, initial: "cross", lengthNorm: "none" })
  expect(resolveOptions(equilibriumRanking, defaults)).toEqual(defaults)
  expect(equilibriumRanking.promise({})).toBe("report")
})

test.runIf(hasSmollm2)(`SmolLM2's judgements are of equal length ${needsModels}`, async () => {
  const opened = await openRunner(smollm2, "q8", 1)
  try {
    const own = createTokenizer(opened.checkpoint.tokenizer!)
    const lengths = defaultPrompts.judgements.map((judgement) => {
      const { tokens, from } = scoreRequest(own, "The proposed answer is", judgement)
      return tokens.length - from
    })
    expect(lengths[0]).toBe(lengths[1])
  } finally {
    await opened.dispose()
  }
})
