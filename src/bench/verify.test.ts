/** The certificate on a tiny model: sound decoding passes, and each kind of fault is found. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder, tinyEnd } from "../../test/support/tiny-folder.ts"
import { createLaw } from "../decoding/law.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateOptions, GenerateResult } from "../generate/types.ts"
import { compareAnswers } from "./compare-answers.ts"
import { placeOf } from "./law-check.ts"
import { broken, verify } from "./verify.ts"

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

const prompts = ["abc", "the sea", "0 1 2 3"].map((text, id) => ({ id, prompt: { text } }))
const sampling = { temperature: 1, logitBias: { [tinyEnd]: -100 } }
const asked = { method: "autoregressive", prompts, raw: true, maxTokens: 24, samples: 300 }

/** The same model, its every second answer (the method's) changed on the way in or out. */
function faulty(change: { options?: GenerateOptions; result?: (result: GenerateResult) => GenerateResult }): Model {
  let calls = 0
  return {
    ...model,
    async generate(prompt, options = {}) {
      const isMethod = options.maxTokens === 4 || calls++ % 2 === 1 // the law's samples are the method's alone
      if (!isMethod) return model.generate(prompt, options)
      const result = await model.generate(prompt, { ...options, ...(options.temperature ? change.options : {}) })
      return change.result?.(result) ?? result
    },
  }
}

describe("certificate", () => {
  test("a prompt's prediction goes to the method and not to plain decoding, which would refuse it", async () => {
    const { text: prediction } = await model.generate("abc", { raw: true, maxTokens: 24 })
    const own = prompts.map((prompt) => ({ ...prompt, prediction }))
    const certificate = await verify(model, { ...asked, method: "predicted-output", prompts: own, sampling })
    expect(certificate).toMatchObject({ identical: true, maxLogitDifference: 0, seeds: { identical: 3 } })
    expect(certificate.passes.target).toBeLessThan(certificate.passes.plain)
    expect(broken(certificate)).toEqual([])
  })

  test("plain decoding against itself", async () => {
    const stages = new Set<string>()
    const onProgress = ({ stage }: { stage: string }) => stages.add(stage)
    const certificate = await verify(model, { ...asked, sampling, onProgress })
    expect(certificate).toMatchObject({
      method: "autoregressive",
      promise: "lossless",
      prompts: 3,
      identical: true,
      differences: [],
      maxLogitDifference: 0,
      seeds: { compared: 3, identical: 3 },
      law: { samples: 300 },
      meanAcceptedLength: 1,
    })
    expect(certificate.tokens).toBeGreaterThan(3)
    expect(certificate.passes.target).toBe(certificate.passes.plain)
    expect(certificate.law!.pValue).toBeGreaterThan(1e-4)
    expect(broken(certificate)).toEqual([])
    expect([...stages]).toEqual(["greedy", "seeds", "law"])
  }, 60_000)

  test("a wrong token is found, with its place and the margin it should have been won by", async () => {
    const wrong = (result: GenerateResult) => ({
      ...result,
      tokens: result.tokens.map((id, i) => (i === 5 ? id ^ 1 : id)),
    })
    const certificate = await verify(faulty({ result: wrong }), asked)
    expect(certificate.identical).toBe(false)
    expect(certificate.differences.map(({ id, position }) => [id, position])).toEqual(prompts.map(({ id }) => [id, 5]))
    const { logprobs } = await model.generate("abc", { raw: true, maxTokens: 6, logprobs: 2 })
    const [best, next] = logprobs![5]!.top
    expect(certificate.differences[0]!.margin).toBe(best!.logprob - next!.logprob)
    expect(broken(certificate)).toEqual(["3 answers differ"])
    expect(certificate).not.toHaveProperty("law")
  })

  test("so is one bit of a log-probability", async () => {
    const bent = (result: GenerateResult) => {
      const logprobs = result.logprobs?.map((one, i) =>
        i === 3 ? { ...one, logprob: one.logprob * (1 + 2 ** -52) } : one,
      )
      return logprobs ? { ...result, logprobs } : result
    }
    const certificate = await verify(faulty({ result: bent }), asked)
    expect(certificate).toMatchObject({ identical: true })
    expect(certificate.maxLogitDifference).toBeGreaterThan(0)
    expect(broken(certificate)).toHaveLength(1)
  })

  test("and samples from a colder law, with every greedy answer right", async () => {
    const certificate = await verify(faulty({ options: { temperature: 0.8 } }), { ...asked, sampling })
    expect(certificate).toMatchObject({ identical: true, maxLogitDifference: 0 })
    expect(certificate.seeds!.identical).toBeLessThan(3)
    expect(certificate.law!.pValue).toBeLessThan(1e-4)
    expect(broken(certificate)).toEqual([expect.stringContaining("law")])
  }, 60_000)

  test("an abort is E_ABORTED, no prompts are E_INPUT", async () => {
    const refused = (code: string) => expect.objectContaining({ code })
    await expect(verify(model, { ...asked, signal: AbortSignal.abort() })).rejects.toEqual(refused("E_ABORTED"))
    await expect(verify(model, { ...asked, prompts: [] })).rejects.toEqual(refused("E_INPUT"))
    await expect(verify(model, { ...asked, method: "oracle" })).rejects.toEqual(refused("E_METHOD_NOT_FOUND"))
  })
})

test("an answer that ends early differs where it ends", () => {
  const answer = (...tokens: number[]) => ({ tokens }) as unknown as GenerateResult
  expect(compareAnswers(answer(1, 2, 3), answer(1, 2)).difference).toEqual({ position: 2, margin: Number.NaN })
  expect(compareAnswers(answer(1, 2), answer(1, 2))).toEqual({ tokens: 2, maxDifference: 0 })
})

test("the place of a token in its law counts likelier ones first, ties by id", () => {
  const law = createLaw(Int32Array.of(2, 4, 7, 9), Float64Array.of(1, 4, 1, 2))
  expect([4, 9, 2, 7].map((id) => placeOf(law, id, 0))).toEqual([0, 0.5, 0.75, 0.875])
  expect(placeOf(law, 7, 0.5)).toBe(0.9375)
  expect(placeOf(law, 3, 0.5)).toBe(1)
})
