/** Several methods verified on one set of plain answers: certificates, what is asked of the model, and going on. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder } from "../../test/support/tiny-folder.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import { recordName } from "./record.ts"
import { certificateTable } from "./tables.ts"
import { broken } from "./verify.ts"
import { type VerifiedAnswer, verifyMethods } from "./verify-methods.ts"

let folder: TinyFolder
let model: Model
beforeAll(async () => {
  folder = makeTinyFolder()
  model = await loadModel(folder.path, { weights: "f32", threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  folder.remove()
})

const prompts = ["abc", "the sea", "0 1 2 3"].map((text, id) => ({ id, category: "c", prompt: { text } }))
const methods = ["prompt-lookup", "predicted-output", "auto"]

/** The same model with its calls on record. */
function counted(asked: string[], change = (id: number) => id): Model {
  return {
    ...model,
    async generate(prompt, options = {}) {
      const result = await model.generate(prompt, options)
      asked.push(options.method ?? "plain")
      return options.method === "auto" ? { ...result, tokens: result.tokens.map(change) } : result
    },
  }
}

test("plain answers are computed once for all methods; each has a certificate", async () => {
  const asked: string[] = []
  const record = await verifyMethods(counted(asked), { methods, prompts, maxTokens: 24 })
  expect(asked).toEqual(prompts.flatMap(() => ["plain", ...methods]))
  const { certificates } = record
  expect(certificates.map(({ method }) => method)).toEqual(methods)
  for (const one of certificates) {
    expect(one).toMatchObject({ promise: "lossless", prompts: 3, identical: true, maxLogitDifference: 0 })
    expect(one.tokens).toBe(certificates[0]!.tokens)
    expect(broken(one)).toEqual([])
  }
  // An expected text that is right for the most part saves passes.
  expect(certificates[1]!.passes.target).toBeLessThan(certificates[1]!.passes.plain)
  expect(recordName(record)).toMatch(/-f32-1-threads-3-methods-3-prompts-24-tokens\.json$/)
  expect(certificateTable([record]).rows[0]).toEqual([
    "prompt-lookup",
    "lossless",
    "f32",
    "3 of 3, up to 24 tokens each",
    String(certificates[0]!.tokens),
    "the same bits",
    certificates[0]!.meanAcceptedLength.toFixed(2),
  ])
})

/** What is drafted follows the times of passes, so passes differ between runs; what was verified does not. */
const certain = ({ certificates }: Awaited<ReturnType<typeof verifyMethods>>) =>
  certificates.map(({ passes: _, meanAcceptedLength: __, ...one }) => one)

test("a run that was cut off is gone on with, and gives the same certificates", async () => {
  const kept = new Map<string, VerifiedAnswer>()
  const onAnswer = (key: string, answer: VerifiedAnswer) => void kept.set(key, answer)
  const whole = await verifyMethods(model, { methods, prompts, maxTokens: 24, onAnswer })
  expect(kept.size).toBe(9)
  const known = new Map([...kept].slice(0, 5)) // the second prompt's first two methods are done
  const asked: string[] = []
  const again = await verifyMethods(counted(asked), { methods, prompts, maxTokens: 24, known: (key) => known.get(key) })
  expect(asked).toEqual(["plain", "auto", "plain", ...methods])
  expect(certain(again)).toEqual(certain(whole))
})

test("prompts at the same time have the same certificates", async () => {
  const told = async (concurrency: number) =>
    certain(await verifyMethods(model, { methods: ["prompt-lookup"], prompts, maxTokens: 24, concurrency }))
  expect(await told(3)).toEqual(await told(1))
})

test("a method that answers otherwise is found out, by name and place", async () => {
  const record = await verifyMethods(
    counted([], (id) => (id + 1) % 100),
    { methods, prompts, maxTokens: 24 },
  )
  const [lookup, , auto] = record.certificates
  expect(broken(lookup!)).toEqual([])
  expect(auto!.differences.map(({ id, position }) => [id, position])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ])
  expect(broken(auto!)[0]).toBe("3 answers differ")
})
