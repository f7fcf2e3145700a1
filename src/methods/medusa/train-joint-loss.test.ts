/** The joint loss against its definition in float64, the batches by hand, and that nothing changes without heads. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { randomTokens, seeded, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { rowOf } from "../../../test/support/tiny-runner.ts"
import { adaptedWeights } from "../../models/adapter.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { answerWindows } from "../../train/answers.ts"
import type { Batch, RecipeContext } from "../../train/recipe.ts"
import { resolveSettings } from "../../train/settings.ts"
import { initialState, StepRunner } from "../../train/step-runner.ts"
import { jointRecipe } from "./train-joint.ts"
import { jointBatches } from "./train-joint-loss.ts"

const [hidden, vocabulary, length, promptLength] = [32, 24, 12, 4]
const checkpoint = tinyCheckpoint({
  family: "llama",
  seed: 61,
  hidden,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary,
  context: 64,
})
const scratch = mkdtempSync(join(tmpdir(), "forerun-joint-"))
afterAll(() => rmSync(scratch, { recursive: true }))

const answers = Array.from({ length: 40 }, (_, i) => {
  const [prompt, answer] = [randomTokens(promptLength, vocabulary, i), randomTokens(7, vocabulary, 100 + i)]
  return { id: `${i}`, source: "test", temperature: 0, seed: 0, prompt, answer }
})
const data = join(scratch, "answers.jsonl")
writeFileSync(data, answers.map((answer) => `${JSON.stringify(answer)}\n`).join(""))

/** All tokens are drafted, two heads, and every row of the two windows of a batch that has a loss. */
async function prepared(option: Readonly<Record<string, string>>) {
  const given = { heads: "2", vocabulary: `${vocabulary}`, length: `${length}`, picked: "20", rank: "3", ...option }
  const { options, hyper } = resolveSettings(jointRecipe, { learningRate: "0.01", warmUp: "0", ...given })
  const context: Partial<RecipeContext> = { target: checkpoint, options, data: [data], note: () => {} }
  const training = await jointRecipe.prepare(context as RecipeContext)
  const start = new Map(initialState(training.parameters, createRandom(1)))
  const batch = (progress?: number) => training.data.batch([0, 1], createRandom(2), progress)
  return { training, hyper, start, batch }
}

const logSoftmax = (logits: readonly number[]) => {
  const top = Math.max(...logits)
  const all = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0))
  return logits.map((value) => value - all)
}
const expected = (p: readonly number[], values: readonly number[]) =>
  p.reduce((sum, log, i) => sum + Math.exp(log) * values[i]!, 0)
const divergenceOf = (p: readonly number[], q: readonly number[]) =>
  expected(
    p,
    p.map((log, i) => log - q[i]!),
  )
const averageOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Log-laws and final states of a window's rows, from the decoding runtime. */
async function readBy(changes: ReadonlyMap<string, PartTensor>, windows: readonly (readonly number[])[]) {
  const changed = { ...checkpoint, weights: adaptedWeights(checkpoint.weights, changes) }
  const runner = await loadRunner(changed, { weights: "f32", threads: 1, device: "cpu" })
  const read = []
  for (const tokens of windows) {
    const input = { tokens: Int32Array.from(tokens) }
    const pass = await runner.forward({ input, want: { logits: "all", hidden: ["final"] } })
    const states = tokens.map((_, row) => [...rowOf(pass.hidden.get("final")!.data, row, hidden)])
    read.push({ states, laws: tokens.map((_, row) => logSoftmax([...rowOf(pass.logits!.data, row, vocabulary)])) })
  }
  await runner.dispose()
  return read
}

/** The definition: KL(before ‖ after) + 0.3 Σ 0.8ᵏ CE, heads on the changed states, labels `shift` further than they are. */
async function byDefinition(start: ReadonlyMap<string, Float32Array>, { tokens }: Batch["tensors"], shift = 0) {
  const ids = Array.from(tokens!.data as BigInt64Array, Number)
  const windows = [ids.slice(0, promptLength + 7), ids.slice(length, length + promptLength + 7)]
  const changes = new Map<string, PartTensor>()
  for (const [key, values] of start) {
    const name = key.replace(/^parameter\//, "")
    if (!/^parameter\/(up|down)\//.test(key)) continue
    changes.set(name, { values, shape: name.startsWith("up") ? [values.length / 3, 3] : [3, values.length / 3] })
  }
  const [before, after] = [await readBy(new Map(), windows), await readBy(changes, windows)]
  const table = checkpoint.weights.float32("lm_head.weight")
  const said = (state: readonly number[], head: number) => {
    const [w, b] = ["weight", "bias"].map((kind) => start.get(`parameter/${head}.0.linear.${kind}`)!)
    const z = state.map((value, i) => {
      const sum = state.reduce((all, x, j) => all + w![i * hidden + j]! * x, b![i]!)
      return value + sum / (1 + Math.exp(-sum))
    })
    const logit = (_: unknown, id: number) => z.reduce((all, x, j) => all + table[id * hidden + j]! * x, 0)
    return logSoftmax(Array.from({ length: vocabulary }, logit))
  }
  const rows = windows.flatMap((window, w) =>
    window.flatMap((_, row) => (row >= promptLength - 1 && row + 1 < window.length ? [{ w, row }] : [])),
  )
  const pairs = rows.map(({ w, row }) => [before[w]!.laws[row]!, after[w]!.laws[row]!] as const)
  const ahead = (head: number) => rows.filter(({ w, row }) => row + head + 2 + shift < windows[w]!.length)
  const heads = (loss: (q: readonly number[], at: { w: number; row: number }) => number) =>
    [0, 1].reduce((sum, head) => {
      const losses = ahead(head).map(({ w, row }) =>
        loss(said(after[w]!.states[row]!, head), { w, row: row + head + 1 + shift }),
      )
      return sum + 0.8 ** head * averageOf(losses)
    }, 0)
  return {
    divergence: averageOf(pairs.map(([p, q]) => divergenceOf(p, q))),
    reverse: averageOf(pairs.map(([p, q]) => divergenceOf(q, p))),
    soft: heads((q, { w, row }) => -expected(before[w]!.laws[row]!, q)),
    hard: heads((q, { w, row }) => -q[windows[w]![row + 1]!]!),
  }
}

test.each(["soft", "hard"] as const)(
  "with %s labels it is what the definition says, and nothing beside it",
  async (labels) => {
    const { training, hyper, start, batch } = await prepared({ labels, headsWeight: "0.3" })
    const random = seeded(5)
    for (const [name, values] of start)
      if (/^parameter\/(up|\d)/.test(name))
        start.set(
          name,
          values.map(() => 5 * (random() - 0.5)),
        )
    const runner = new StepRunner(training, hyper, { state: start, threads: 1 })
    const found = await runner.evaluate(batch())
    await runner.release()
    const told = await byDefinition(start, batch().tensors)
    expect(found.divergence).toBeCloseTo(told.divergence, 4)
    expect(found.loss).toBeCloseTo(told.divergence + 0.3 * told[labels], 3)
    // Numbers that a wrong direction or a wrong label would give are others.
    expect(Math.abs(told.reverse - told.divergence)).toBeGreaterThan(0.01)
    const shifted = await byDefinition(start, batch().tensors, 1)
    expect(0.3 * Math.abs(shifted[labels] - told[labels])).toBeGreaterThan(0.01)
  },
  60_000,
)

test("without weight on the heads nothing moves; with it, the target gives way", async () => {
  const after = async (headsWeight: string) => {
    const { training, hyper, start, batch } = await prepared({ headsWeight, epsilon: "0.001" }) // AdamW would make whole steps of rounding errors
    const runner = new StepRunner(training, hyper, { state: start, threads: 1 })
    const first = await runner.step([batch(0)], 0)
    for (let step = 1; step < 12; step++) await runner.step([batch(0)], step)
    const report = await runner.evaluate(batch())
    const heads = [...runner.state].filter(([name]) => /^parameter\/\d/.test(name))
    await runner.release()
    return { first, report, heads: heads.flatMap(([, values]) => [...values]) }
  }
  const [still, moved] = [await after("0"), await after("0.2")]
  expect(still.first.values.divergence).toBeLessThan(1e-6)
  expect(still.first.gradientNorm).toBeLessThan(1e-4 * moved.first.gradientNorm)
  expect(still.heads.every((value) => value === 0)).toBe(true)
  expect(moved.report.divergence!).toBeGreaterThan(1e-3)
  expect(still.report.divergence!).toBeLessThan(1e-3 * moved.report.divergence!)
  expect(moved.report.loss!).toBeLessThan(moved.first.values.loss!)
}, 60_000)

test("heads learn at four times the rate of the change", async () => {
  const { training, hyper, start, batch } = await prepared({})
  const runner = new StepRunner(training, hyper, { state: start, threads: 1 })
  await runner.step([batch(0)], 0)
  // AdamW's first step is the learning rate, wherever the gradient is not tiny.
  const longest = (name: string) => Math.max(...runner.state.get(`parameter/${name}`)!.map(Math.abs))
  expect(longest("0.0.linear.weight")).toBeCloseTo(0.04, 3)
  expect(longest("up/model.layers.0.mlp.down_proj.weight")).toBeCloseTo(0.01, 3)
  await runner.release()
})

test("batches: rows before the answer's tokens, each head's label and the row whose law it has", () => {
  // Prompt 1 2, answer 5 6 7 9 (nothing drafts 9), in a window of 8.
  const windows = answerWindows(
    [{ id: "a", source: "", temperature: 0, seed: 0, prompt: [1, 2], answer: [5, 6, 7, 9] }],
    8,
  )
  const places = Int32Array.from({ length: 10 }, (_, id) => (id === 9 ? -1 : 20 + id))
  const options = { heads: 2, picked: 5, headsWeight: 0.2, course: "sine", places }
  const batches = jointBatches(windows, options)
  const { tensors, tokens } = batches.batch([0], createRandom(1))
  const read = (name: string) => Array.from(tensors[name]!.data as Float32Array | BigInt64Array, Number)
  const rows = read("picked")
  expect(tokens).toBe(4)
  expect(read("counts")).toEqual([1, 1, 1, 1, 0])
  expect([...rows.slice(0, 4)].sort()).toEqual([1, 2, 3, 4])
  const at = (head: number, row: number) => {
    const place = head * 5 + rows.indexOf(row)
    return ["labels", "laws", "known", "weight"].map((name) => read(name)[place])
  }
  expect(at(0, 1)).toEqual([26, 2, 1, 1])
  expect(at(1, 1)).toEqual([27, 3, 1, 1])
  expect(at(0, 3)).toEqual([0, 4, 0, 1]) // 9, which cannot be drafted
  expect(at(1, 3)).toEqual([0, 0, 0, 0]) // behind the answer
  expect(at(0, 4)).toEqual([0, 0, 0, 0])
  const share = (progress?: number) =>
    (batches.batch([0], createRandom(1), progress).tensors.share!.data as Float32Array)[0]
  expect([share(0), share(1 / 3), share()]).toEqual([0, expect.closeTo(0.1, 6), expect.closeTo(0.2, 6)])
})
