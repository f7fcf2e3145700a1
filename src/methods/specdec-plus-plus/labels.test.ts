/** Labels: chances by both rules, mixing, and which row belongs to which token; the loss against its formula. */
import { describe, expect, test } from "vitest"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { Graph } from "../../graph/index.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { headDivergence, headLoss } from "./head-loss.ts"
import { judge, judgeToken, type LabelSettings } from "./labels.ts"

const logs = (...shares: number[]) => Float32Array.from(shares, Math.log)
const p = logs(0.5, 0.3, 0.2)
const q = logs(0.2, 0.7, 0.1)

describe("chances", () => {
  test("likeliest drafts: the target's share of the draft's likeliest token", () => {
    const settings = { drafts: "likeliest", temperature: 1 } as const
    expect(judgeToken(q, p, settings, createRandom(1))).toEqual({ token: 1, acceptance: expect.closeTo(0.3, 6) })
    expect(judgeToken(q, p, { ...settings, temperature: 0 }, createRandom(1)).acceptance).toBe(0)
    const cold = judgeToken(q, p, { ...settings, temperature: 0.5 }, createRandom(1))
    expect(cold.acceptance).toBeCloseTo(0.09 / (0.25 + 0.09 + 0.04), 6)
    expect(judgeToken(p, p, { ...settings, temperature: 0 }, createRandom(1)).acceptance).toBe(1)
  })

  test("sampled drafts: drawn from q, min(1, p/q), so that the mean is the overlap of the laws", () => {
    const random = createRandom(3)
    const counts = [0, 0, 0]
    let mean = 0
    for (let i = 0; i < 20_000; i++) {
      const { token, acceptance } = judgeToken(q, p, { drafts: "sampled", temperature: 1 }, random)
      counts[token]!++
      mean += acceptance / 20_000
    }
    expect(counts.map((count) => count / 20_000)).toEqual([0.2, 0.7, 0.1].map((share) => expect.closeTo(share, 1.7)))
    expect(mean).toBeCloseTo(0.2 + 0.3 + 0.1, 1.9)
  })
})

const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
}

describe("rows", () => {
  const answered = { prompt: [3, 1, 4, 1, 5], answer: [9, 2, 6, 5, 3, 5, 8, 9] }

  test("a drafted token is judged by the row that reads it, after the mixed tokens before it", async () => {
    const open = (seed: number) =>
      loadRunner(tinyCheckpoint({ ...tiny, seed }), { weights: "f32", threads: 1, device: "cpu" })
    const [target, draft] = [await open(77), await open(78)]
    const settings: LabelSettings = { target, draft, drafts: "likeliest", temperature: 0, kept: 0.5, row: "reads" }
    const { states, acceptance } = await judge(answered, settings, createRandom(5))
    const count = acceptance.length
    expect(count).toBeGreaterThan(1)
    expect(count).toBeLessThan(8)
    expect(states.length).toBe(count * 32)

    // All drafts, none of the answer's own: the mixed text is the prompt and each place's likeliest token.
    const all = await judge(answered, { ...settings, kept: 0 }, createRandom(5))
    const text = [...answered.prompt, ...answered.answer]
    const likeliest = async (model: typeof draft, length: number) => {
      const { logits } = await model.forward({ input: { tokens: Int32Array.from(text.slice(0, length)) }, want: { logits: "last" } }) // biome-ignore format: one line
      return logits!.data.indexOf(Math.max(...logits!.data))
    }
    const mixed = [...answered.prompt]
    for (let i = 0; i < 8; i++) {
      mixed.push(await likeliest(draft, 5 + i))
      expect(all.acceptance[i]).toBe(mixed.at(-1) === (await likeliest(target, 5 + i)) ? 1 : 0)
      const { hidden } = await draft.forward({ input: { tokens: Int32Array.from(mixed) }, want: { hidden: ["final"] } })
      expect([...all.states.subarray(i * 32, i * 32 + 32)]).toEqual([...hidden.get("final")!.data.subarray(-32)])
    }
    // Judged by the row that drafts: the row before each place of the answer's own text, with the same labels.
    const before = await judge(answered, { ...settings, row: "drafts" }, createRandom(5))
    expect(before.acceptance).toEqual(all.acceptance)
    for (const i of [0, 3, 7]) {
      const tokens = Int32Array.from(text.slice(0, 5 + i))
      const { hidden } = await draft.forward({ input: { tokens }, want: { hidden: ["final"] } })
      expect([...before.states.subarray(i * 32, i * 32 + 32)]).toEqual([...hidden.get("final")!.data.subarray(-32)])
    }
    expect((await judge(answered, { ...settings, kept: 1 }, createRandom(5))).acceptance.length).toBe(0)
    await target.dispose()
    await draft.dispose()
  })
})

test("the loss is the paper's, the divergence is nought for the labels' own law", async () => {
  const graph = new Graph()
  const logits = graph.input("logits", "float32", [3, 2])
  const acceptance = graph.input("acceptance", "float32", [3])
  graph.output("loss", headLoss(logits, acceptance, 6))
  graph.output("divergence", headDivergence(logits, acceptance))
  const runner = await openGraph(graph, { threads: 1 })
  const run = async (chances: readonly number[], labels: readonly number[]) => {
    const data = Float32Array.from(chances.flatMap((chance) => [Math.log(1 - chance), Math.log(chance)]))
    const found = await runner.run(
      {
        logits: { type: "float32", shape: [3, 2], data },
        acceptance: { type: "float32", shape: [3], data: Float32Array.from(labels) },
      },
      ["loss", "divergence"],
    )
    return { loss: Number(found.loss!.data[0]), divergence: Number(found.divergence!.data[0]) }
  }
  // 6·(0.8·ln 2 + 1·ln 4 …): written out for chances 0.5, 0.75, 0.1 and labels 0.2, 0, 1.
  const refusals = 6 * (0.8 * Math.log(2) + 1 * Math.log(4))
  const acceptances = 0.2 * Math.log(2) + Math.log(10)
  expect((await run([0.5, 0.75, 0.1], [0.2, 0, 1])).loss).toBeCloseTo((refusals + acceptances) / (6 * 1.8 + 1.2), 5)
  expect((await run([0.5, 0.75, 0.1], [0.5, 0.75, 0.1])).divergence).toBeCloseTo(0, 6)
  expect((await run([0.5, 0.5, 0.5], [1, 1, 1])).divergence).toBeCloseTo(Math.log(2), 6)
  await runner.dispose()
})
