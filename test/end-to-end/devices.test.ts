/** One device drafts, another verifies: the answer is the target's alone, bit for bit, wherever the drafter runs. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { targetOf } from "../../src/decoding/part-target.ts"
import { loadModel, type Model, type TimelineSpan } from "../../src/index.ts"
import { checkpointHash, openCheckpoint } from "../../src/models/files/checkpoint.ts"
import { writePart } from "../../src/models/trained-part.ts"
import type { Device } from "../../src/runtime/devices.ts"
import { openGraph } from "../../src/runtime/graph-runner.ts"
import { affineGraph } from "../support/affine-graph.ts"
import { randomDrafter } from "../support/drafter-part.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"

/** A real device, or a software one (CONTRIBUTING.md says how to name it). */
const hasWebGpu = await openGraph(affineGraph(), { threads: 1, device: "webgpu" }).then(
  (runner) => runner.dispose().then(() => true),
  () => false,
)

const part = mkdtempSync(join(tmpdir(), "forerun-devices-"))
let tiny: TinyFolder
beforeAll(async () => {
  tiny = makeTinyFolder()
  const checkpoint = openCheckpoint(tiny.path)
  const { tensors } = randomDrafter({ span: 1, fusion: "dynamic", layers: 2 })(targetOf(checkpoint))
  const all = [...tensors].map(([name, tensor]) => ({ name, ...tensor, type: "F32" as const }))
  const target = { sha256: await checkpointHash(checkpoint) }
  await writePart(part, all, { method: "dovetail", target, recipe: {}, metrics: {} })
  checkpoint.close()
})
afterAll(() => {
  tiny.remove()
  rmSync(part, { recursive: true, force: true })
})

const prompt = { tokens: [3, 7, 100, 11, 42] }
const settings = [{ temperature: 0 }, { temperature: 1, topP: 0.9, seed: 5 }, { temperature: 0.7, topK: 30, seed: 6 }]
const options = { size: "fixed", nodes: 6, width: 3, depth: 3 }

async function open(draft: Device): Promise<Model> {
  return loadModel(tiny.path, { threads: 1, weights: "q8", part, device: { target: "cpu", draft } })
}

/** Pairs of passes, one of each role, that ran at the same time for longer than clocks differ. */
const meetings = (timeline: readonly TimelineSpan[]): number =>
  timeline
    .filter(({ role }) => role === "target")
    .flatMap((one) =>
      timeline.filter(({ role, begin, end }) => role === "draft" && begin + 0.2 < one.end && one.begin + 0.2 < end),
    ).length

async function sameEverywhere(draft: Device) {
  const [alone, placed] = [await open("cpu"), await open(draft)]
  try {
    for (const sampling of settings) {
      const all = { ...sampling, maxTokens: 48, logprobs: 2 }
      const plain = await alone.generate(prompt, all)
      const here = await alone.generate(prompt, { ...all, method: "dovetail", options })
      const there = await placed.generate(prompt, { ...all, method: "dovetail", options, timeline: true })
      expect(there.tokens).toEqual(plain.tokens)
      expect(there.logprobs).toEqual(plain.logprobs)
      expect(there.passes.draft).toBeGreaterThan(20)
      expect(plain.timings).not.toHaveProperty("draftMs")
      expect(here.timings).toMatchObject({ transferMs: 0 })
      const along = { ...options, nodes: 3, depth: 1, overlap: true }
      const overlapped = await placed.generate(prompt, { ...all, method: "dovetail", options: along, timeline: true })
      expect([overlapped.tokens, overlapped.logprobs]).toEqual([plain.tokens, plain.logprobs])
      // Another processor: one after the other they never run at once, with overlap they do.
      if (draft === "process")
        expect([meetings(there.timeline!), meetings(overlapped.timeline!) > 10]).toEqual([0, true])
      const { draftMs = 0, transferMs = 0, targetMs = 0, prefillMs, decodeMs } = there.timings
      expect([draftMs > 0, transferMs > 0, targetMs > 0]).toEqual([true, draft === "process", true])
      expect(draftMs + transferMs + targetMs).toBeLessThan(prefillMs + decodeMs)
      // The same CPU kernels in another process draft the same; another device may round another way.
      if (draft === "process") expect(there.speculation).toEqual(here.speculation)
    }
    return placed.info
  } finally {
    await alone.dispose()
    await placed.dispose()
  }
}

describe("a drafter elsewhere", () => {
  test("in a process of its own: plain decoding's tokens and logits, greedy and sampled", async () => {
    expect(await sameEverywhere("process")).toMatchObject({ device: "cpu", draftDevice: "process" })
  }, 120_000)

  test.skipIf(!hasWebGpu)(
    "on WebGPU (SwiftShader will do): plain decoding's tokens and logits",
    async () => {
      expect(await sameEverywhere("webgpu")).toMatchObject({ device: "cpu", draftDevice: "webgpu" })
    },
    300_000,
  )

  test.skipIf(!hasWebGpu)(
    "WebGPU's numbers are the CPU's but for rounding",
    async () => {
      const feed = { type: "float32", shape: [2, 2], data: Float32Array.of(0.1, -0.7, 3, 5) } as const
      const found = []
      for (const device of ["cpu", "webgpu"] as const) {
        const runner = await openGraph(affineGraph(), { threads: 1, device })
        found.push((await runner.run({ x: feed }, ["y"])).y!.data as Float32Array)
        await runner.dispose()
      }
      expect([...found[1]!]).toEqual([...found[0]!].map((value) => expect.closeTo(value, 4)))
    },
    60_000,
  )

  test("a draft model cannot be put into a process of its own, and says so", async () => {
    const device = { target: "cpu", draft: "process" } as const
    await expect(loadModel(tiny.path, { threads: 1, draft: tiny.path, device })).rejects.toMatchObject({
      code: "E_OPTION",
      message: expect.stringContaining("device of a draft model"),
    })
  })
})
