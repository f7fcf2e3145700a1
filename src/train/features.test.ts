/** Hidden states on disk: the runner's own rows to half precision, shared by processes, in windows with their tokens. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { randomTokens, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import { createRandom } from "../tensor/random.ts"
import { type Answer, answerWindows } from "./answers.ts"
import { computeFeatures, type FeatureRequest, featureWindows } from "./features.ts"

const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 2, intermediate: 64, vocabulary: 40 }
const target = tinyCheckpoint({ family: "llama", seed: 5, context: 300, ...sizes })
/** 40 answers, so two pieces; the longest crosses a block of 128. */
const answers = Array.from({ length: 40 }, (_, i): Answer => {
  const tokens = randomTokens(6 + (i % 7) * 23, 40, i)
  return { id: `${i}`, source: "", temperature: 0, seed: 0, prompt: tokens.slice(0, 4), answer: tokens.slice(4) }
})
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "forerun-features-"))
})
afterAll(() => rmSync(folder, { recursive: true }))

const request = (more: Partial<FeatureRequest> = {}): FeatureRequest => ({
  target,
  answers,
  layers: [1, "final"],
  folder,
  length: 60,
  weights: "f32",
  threads: 1,
  ...more,
})

test("rows are the target's own states of the window's tokens, to half precision", async () => {
  const features = await computeFeatures(request())
  const runner = await loadRunner(target, { weights: "f32", threads: 1, device: "cpu" })
  for (const index of [0, 6, 31, 32, 39]) {
    const { prompt, answer } = answers[index]!
    const tokens = Int32Array.from([...prompt, ...answer])
    const pass = await runner.forward({ input: { tokens }, want: { hidden: [1, "final"] } })
    for (const layer of [1, "final"] as const) {
      const expected = pass.hidden.get(layer)!.data.subarray(Math.max(0, tokens.length - 60) * 32)
      const found = features.rows(index, layer)
      expect(found.length).toBe(expected.length)
      for (const [i, value] of found.entries())
        expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(Math.abs(expected[i]!) / 2048 + 1e-7)
    }
  }
  await runner.dispose()

  const { tensors } = featureWindows(features, answerWindows(answers, 60), [1, "final"]).batch([6, 0], createRandom(1))
  expect([tensors.final!.shape, tensors.hidden1!.shape, tensors.tokens!.shape]).toEqual([
    [2, 60, 32],
    [2, 60, 32],
    [2, 60],
  ])
  const final = tensors.final!.data as Float32Array
  expect([...final.subarray(0, 60 * 32)]).toEqual([...features.rows(6, "final")])
  expect([...final.subarray(60 * 32, 66 * 32)]).toEqual([...features.rows(0, "final")])
  expect(final.subarray(66 * 32).every((value) => value === 0)).toBe(true)
})

test("a second time nothing is computed; what another process began is waited for, unless it is gone", async () => {
  const progress: number[] = []
  await computeFeatures(request({ onProgress: (done, total) => void progress.push(done / total) }))
  expect(progress).toEqual([1])

  const shared = join(folder, "shared")
  const first = await computeFeatures(request({ folder: shared }))
  const [inner] = readdirSync(shared)
  const path = join(shared, inner!, "00001.safetensors")
  rmSync(path)
  const mark = `${path}.begun`
  writeFileSync(mark, `${hostname()} ${process.pid}`)
  utimesSync(mark, new Date(0), new Date(0)) // long ago, but it lives
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 500)
  await expect(computeFeatures(request({ folder: shared, signal: controller.signal }))).rejects.toMatchObject({
    code: "E_ABORTED",
  })
  writeFileSync(mark, `${hostname()} ${spawnSync("true").pid}`)
  const again = await computeFeatures(request({ folder: shared }))
  expect(again.rows(39, "final")).toEqual(first.rows(39, "final"))

  rmSync(path)
  writeFileSync(mark, "another-machine 1")
  utimesSync(mark, new Date(0), new Date(0))
  await computeFeatures(request({ folder: shared }))
  expect(readdirSync(join(shared, inner!))).toEqual(["00000.safetensors", "00001.safetensors"])
})

test("when the time is up, the first answers have to do", async () => {
  const folderOfOne = join(folder, "short")
  const features = await computeFeatures(request({ folder: folderOfOne, seconds: 0 }))
  expect(features.answers).toHaveLength(32)
  expect(features.rows(31, "final").length).toBeGreaterThan(0)
  expect((await computeFeatures(request({ folder: folderOfOne }))).answers).toHaveLength(40)
})

test("two at once share the pieces and read the same", async () => {
  const both = join(folder, "both")
  const [one, two] = await Promise.all([
    computeFeatures(request({ folder: both })),
    computeFeatures(request({ folder: both })),
  ])
  for (const index of [0, 20, 39]) expect(one.rows(index, 1)).toEqual(two.rows(index, 1))
})
