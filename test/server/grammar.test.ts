/** Structured output under every method: what comes keeps to the grammar, and is what plain decoding gives. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { continuationNames, loadContinuation } from "../../src/methods/index.ts"
import { loadTiny } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
const methods: string[] = []
beforeAll(async () => {
  model = await loadTiny()
  for (const name of await continuationNames()) {
    const { needs, part } = await loadContinuation(name)
    // Those that need a draft model or a trained part have tests of their own.
    if (!needs.draft && !part) methods.push(name)
  }
})
afterAll(() => model?.remove())

const prompt = "abab abab abab"
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 5 }, count: { type: "integer", minimum: 0, maximum: 99 } },
  required: ["name", "count"],
  additionalProperties: false,
}

describe("every method", () => {
  test("keeps to a regular expression, greedy and sampled", async () => {
    const regex = "(abab ){2,4}[0-9]{3}"
    for (const temperature of [0, 1.2]) {
      const options = { grammar: { regex }, temperature, seed: 4, maxTokens: 60, raw: true }
      const plain = await model.generate(prompt, options)
      expect(plain.text).toMatch(new RegExp(`^${regex}$`))
      for (const method of methods) {
        const { prediction } = await loadContinuation(method)
        const expected = prediction === undefined ? {} : { prediction: "abab abab 1234" }
        const result = await model.generate(prompt, { ...options, ...expected, method })
        expect([method, result.text]).toEqual([method, plain.text])
      }
    }
  })

  test("writes JSON of a schema", async () => {
    for (const method of methods) {
      const { prediction } = await loadContinuation(method)
      const expected = prediction === undefined ? {} : { prediction: '{"name": "abc", "count": 12}' }
      const { text } = await model.generate(prompt, {
        ...{ method, grammar: { jsonSchema: schema }, temperature: 1, seed: 2, maxTokens: 100, raw: true, ...expected },
      })
      const value = JSON.parse(text)
      expect(Object.keys(value)).toEqual(["name", "count"])
      expect(value.count).toBeLessThan(100)
    }
  })
})

test("a grammar that fails leaves the model as it was", async () => {
  await expect(model.generate("a", { grammar: { regex: "foo**" } })).rejects.toMatchObject({ code: "E_GRAMMAR" })
  expect((await model.generate("a", { maxTokens: 2 })).tokens).toHaveLength(2)
})
