/** Medusa: the heads by hand, the official layout, which row they read, and the laws of every method. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod } from "../../../test/support/method-harness.ts"
import { openTestPart } from "../../../test/support/test-part.ts"
import { seeded, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { rowOf } from "../../../test/support/tiny-runner.ts"
import type { PartContext } from "../../decoding/method-part.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { calibrate } from "./calibrate.ts"
import { type Heads, openHeads } from "./heads.ts"
import { medusa } from "./medusa.ts"
import { randomHeads } from "./test-heads.ts"

const model: TinyModel = {
  family: "llama",
  seed: 31,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
  context: 400,
}

// Trees that pay depend on what comes true; a fixed size drafts whatever it is.
methodContract(medusa, {
  optionSets: [{}, { nodes: 24 }, { nodes: 9, accept: "typical" }],
  part: (target) => ({ tensors: randomHeads(target, { words: 20 }) }),
})

/** Its heads with float32 matrices, whose guesses can be worked out. */
const exactly = { ...medusa, part: { ...medusa.part!, open: (context: PartContext) => openHeads(context, "f32") } }

describe("heads", () => {
  const checkpoint = tinyCheckpoint(model)
  const { hidden, vocabulary } = checkpoint.config
  const open = async (tensors: ReadonlyMap<string, PartTensor>) =>
    (await openTestPart(exactly, checkpoint, () => ({ tensors }))) as Heads
  const state = Float32Array.from({ length: hidden }, seeded(2))
  const table = checkpoint.weights.float32("lm_head.weight")

  /** Best ids of head k, by the definition: z + SiLU(W z + b) for each block, then a matrix. */
  function byHand(tensors: ReadonlyMap<string, PartTensor>, head: number, blocks: number): number[] {
    let z = [...state]
    for (let block = 0; block < blocks; block++) {
      const w = tensors.get(`${head}.${block}.linear.weight`)!.values
      const b = tensors.get(`${head}.${block}.linear.bias`)!.values
      const before = z
      z = z.map((value, i) => {
        const sum = before.reduce((all, x, j) => all + w[i * hidden + j]! * x, b[i]!)
        return value + sum / (1 + Math.exp(-sum))
      })
    }
    const matrix = tensors.get(`${head}.${blocks}.weight`)?.values ?? table
    const logits = Array.from({ length: matrix.length / hidden }, (_, id) =>
      z.reduce((all, x, j) => all + matrix[id * hidden + j]! * x, 0),
    )
    return logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]!)
  }

  test.each([{ heads: 4 }, { heads: 2, blocks: 3 }, { heads: 2, own: true }, { heads: 1, blocks: 2, own: true }])(
    "of the official layout, %o: guesses are those of the definition",
    async (given) => {
      const tensors = randomHeads(checkpoint, given)
      const heads = await open(tensors)
      const guesses = await heads.guess(state)
      expect(guesses).toHaveLength(given.heads)
      for (const [head, list] of guesses.entries())
        expect([...list]).toEqual(byHand(tensors, head, given.blocks ?? 1).slice(0, 10))
      // Blocks have weights of their own (the official code repeats one object).
      if (given.blocks === 3) {
        const shared = new Map(tensors)
        for (const block of [1, 2]) shared.set(`0.${block}.linear.weight`, tensors.get("0.0.linear.weight")!)
        expect([...guesses[0]!]).not.toEqual(byHand(shared, 0, 3).slice(0, 10))
      }
      await heads.dispose()
    },
  )

  test("untrained ones say the next token, all of them, as the target itself does", async () => {
    const runner = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    const pass = await runner.forward({
      input: { tokens: Int32Array.of(1, 2, 3) },
      want: { top: 10, hidden: ["final"] },
    })
    const heads = await open(randomHeads(checkpoint, { scale: 0 }))
    for (const list of await heads.guess(rowOf(pass.hidden.get("final")!.data, 2, hidden)))
      expect([...list]).toEqual([...pass.top!.ids])
    await heads.dispose()
    await runner.dispose()
  })

  test("a draft vocabulary leaves tokens out and changes no order; its places become ids of the target", async () => {
    const whole = await open(randomHeads(checkpoint))
    const part = await open(randomHeads(checkpoint, { words: 12 }))
    const [all, some] = [await whole.guess(state), await part.guess(state)]
    for (const [head, list] of some.entries()) {
      expect(Math.min(...list)).toBeGreaterThanOrEqual(vocabulary - 12)
      const common = [...all[head]!].filter((id) => id >= vocabulary - 12)
      expect([...list].slice(0, common.length)).toEqual(common)
    }
    const rows = await part.guessRows(Float32Array.from([...state, ...state.map((x) => -x)]), 2)
    expect(rows.map(([first]) => [...first!])).toEqual(some.map((list) => [...list]))
    await whole.dispose()
    await part.dispose()
  })

  test("the legacy code's names are known; what is missing, beside or of another shape is refused", async () => {
    const tensors = randomHeads(checkpoint)
    const prefixed = new Map([...tensors].map(([name, tensor]) => [`medusa_head.${name}`, tensor]))
    const heads = await open(prefixed)
    expect(heads.shape).toEqual({ heads: 3, blocks: 1, matrix: "shared" })
    await heads.dispose()
    const refused = async (change: (tensors: Map<string, PartTensor>) => unknown) => {
      const changed = new Map(tensors)
      change(changed)
      await expect(open(changed)).rejects.toMatchObject({ code: "E_MODEL_FORMAT" })
    }
    await refused((changed) => changed.clear())
    await refused((changed) => changed.delete("2.0.linear.bias"))
    await refused((changed) => changed.set("1.1.linear.weight", tensors.get("1.0.linear.weight")!))
    await refused((changed) => changed.set("0.0.linear.weight", { shape: [8, 128], values: new Float32Array(1024) }))
    await refused((changed) => changed.set("0.1.weight", { shape: [40, 32], values: new Float32Array(1280) }))
    await refused((changed) => changed.set("calibration", { shape: [2, 10], values: new Float32Array(20) }))
    await refused((changed) => changed.set("calibration", { shape: [3, 1], values: Float32Array.of(0.5, 1.5, 0) }))
  })

  test("calibration: each head's hits over its own rows; the answer's tokens only", async () => {
    // Guesses that count up from the row's number: rank r of head k at row t says t + k + 2 + r − 1.
    const heads = {
      shape: { heads: 2, blocks: 1, matrix: "shared" as const },
      guessRows: async (_: Float32Array, rows: number) =>
        [0, 1].map((head) =>
          Array.from({ length: rows }, (_, row) => Int32Array.from({ length: 10 }, (_, rank) => row + head + 1 + rank)),
        ),
    }
    const tokens = [0, 1, 2, 3, 4, 5, 7, 7] // as counted, but for the sixth
    const { values, shape } = await calibrate(heads, [{ states: new Float32Array(0), tokens, promptRows: 4 }])
    expect(shape).toEqual([2, 10])
    // Tokens 4 … 7 of the answer: rank 1 is right but at 6, where rank 2 is.
    expect([...values.subarray(0, 4)]).toEqual([0, 0.75, 0.25, 0])
    expect([...values.subarray(10, 14)]).toEqual([0, 0.75, 0.25, 0])
  })
})

describe("on a tiny model", () => {
  let target: SessionRunner
  beforeAll(async () => {
    target = await loadRunner(tinyCheckpoint(model), { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(() => target.dispose())

  /** Heads that know the answer: `wrong` spoils what the second one says. */
  async function oracle(wrong: boolean) {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 60 })
    const text = [3, 1, 4, 1, 5, ...plain.outcome.tokens.map(({ id }) => id)]
    const seen: Float32Array[] = []
    const states: Float32Array[] = []
    const pass = await target.forward({ input: { tokens: Int32Array.from(text) }, want: { hidden: ["final"] } })
    for (let row = 0; row < text.length; row++)
      states.push(rowOf(pass.hidden.get("final")!.data, row, target.config.hidden).slice())
    const part = {
      shape: { heads: 3, blocks: 1, matrix: "shared" },
      chances: [[0.9, 0.05], [0.9], [0.9]],
      bytes: 400,
      async guess(final: Float32Array) {
        seen.push(final)
        const at = states.findIndex((state) => state.every((value, i) => value === final[i]))
        const ahead = (n: number) => text[at + 1 + n] ?? 0
        const second = wrong ? (ahead(2) + 1) % 40 : ahead(2)
        return [Int32Array.of(ahead(1), (ahead(1) + 1) % 40), Int32Array.of(second), Int32Array.of(ahead(3))]
      },
      dispose: async () => {},
    }
    const run = await runMethod(medusa, { target }, { part: part as never, maxTokens: 60, options: { nodes: 4 } })
    return { run, plain, seen, states, passes: run.steps.filter(({ type }) => type === "draft-verified").length }
  }

  test("the heads read the state of the row before the pending token, bit for bit, and perfect ones win three tokens", async () => {
    const { run, plain, seen, states, passes } = await oracle(false)
    expect(run.outcome).toEqual(plain.outcome)
    const known = new Set(states.map((state) => state.join()))
    expect(seen.length).toBe(passes)
    expect(seen.filter((state) => !known.has(state.join()))).toEqual([])
    // Four tokens a round: the first comes out of reading the prompt.
    expect(passes).toBe(Math.ceil(59 / 4))
  })

  test("a wrong second head ends every path there", async () => {
    const { run, plain, passes } = await oracle(true)
    expect(run.outcome).toEqual(plain.outcome)
    expect(passes).toBe(Math.ceil(59 / 2))
  })

  test("heads that are always wrong are given up after a few rounds", async () => {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 300 })
    const said = new Set(plain.outcome.tokens.map(({ id }) => id))
    const [a, b, c] = Array.from({ length: 40 }, (_, id) => id).filter((id) => !said.has(id))
    expect(c).toBeDefined() // tokens that never come
    let asked = 0
    const part = {
      shape: { heads: 2, blocks: 1, matrix: "shared" },
      chances: [[0.6, 0.2], [0.4]],
      bytes: 400,
      guess: async () => {
        asked++
        return [Int32Array.of(a!, b!), Int32Array.of(c!)]
      },
      dispose: async () => {},
    }
    const run = await runMethod(medusa, { target }, { part: part as never, maxTokens: 300 })
    expect(run.outcome).toEqual(plain.outcome)
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThan(30)
  })
})
