/** What is trained is what drafts: the unrolled graph against the drafting graph, pass by pass, block by block. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { randomDrafter, randomDrafterTensors, testIntermediate } from "../../../test/support/drafter-part.ts"
import { openTestPart } from "../../../test/support/test-part.ts"
import { seeded, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { maxDifference } from "../../../test/support/tiny-runner.ts"
import { seesBlock } from "../../decoding/features/blocks.ts"
import { createDraftCache } from "../../decoding/features/draft-cache.ts"
import { type DraftPart, type DraftRows, openDraftPart } from "../../decoding/features/draft-part.ts"
import { fusedMatmul, Graph } from "../../graph/index.ts"
import { drafterSizes, type Fusion } from "../../models/drafter/sizes.ts"
import { createEmbed } from "../../models/embedding.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { unrolled } from "./unrolled.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 5,
  hidden: 32,
  heads: 4,
  kvHeads: 2,
  headSize: 8,
  layers: 1,
  intermediate: 32,
  vocabulary: 40,
}
const { config, weights } = tinyCheckpoint(tiny)
const rows = 12
const tokens = Int32Array.from({ length: rows }, (_, i) => (7 * i + 3) % 40)
const random = seeded(11)
const features = Float32Array.from({ length: rows * tiny.hidden }, () => random() * 4 - 2)
const row = (data: Float32Array, index: number, count = 1) =>
  data.subarray(index * tiny.hidden, (index + count) * tiny.hidden)

describe.each<[span: number, Fusion]>([
  [1, "plain"],
  [2, "plain"],
  [2, "gate"],
  [3, "gate"],
])("span %i, fusion %s", (span, fusion) => {
  const sizes = drafterSizes(config, { span, fusion, intermediate: testIntermediate })
  const tensors = randomDrafterTensors(sizes)
  let part: DraftPart
  let steps: Float32Array[]
  beforeAll(async () => {
    const method = { name: "any", part: { recipe: "any", open: (context: never) => openDraftPart(context, "f32") } }
    part = (await openTestPart(method, { config, weights }, randomDrafter({ span, fusion }))) as DraftPart
    steps = await trained()
  })
  afterAll(() => part.dispose())

  async function trained(): Promise<Float32Array[]> {
    const graph = new Graph()
    const value = (name: string) =>
      graph.values.get(name) ??
      graph.weight(name, "float32", tensors.get(name)!.shape, () => new Uint8Array(tensors.get(name)!.values.buffer))
    const drafter = {
      linear: (x: Parameters<typeof fusedMatmul>[0], name: string) => fusedMatmul(x, value(name), { transB: true }),
      vector: value,
    }
    const shape = [rows, tiny.hidden]
    const inputs = {
      embedded: graph.input("embedded", "float32", shape),
      features: graph.input("features", "float32", shape),
    }
    const found = unrolled(sizes, drafter, { batch: 1, length: rows, ...inputs }, 3)
    for (const [i, step] of found.entries()) graph.output(`step${i}`, step)
    const runner = await openGraph(graph, { threads: 1 })
    const feed = (data: Float32Array) => ({ type: "float32", shape, data }) as const
    const embedded = createEmbed(config, weights)(tokens, tokens)
    const out = await runner.run({ embedded: feed(embedded), features: feed(features) }, ["step0", "step1", "step2"])
    await runner.dispose()
    return [0, 1, 2].map((i) => out[`step${i}`]!.data as Float32Array)
  }

  /** A block of rows as drafting runs it: it sees what is cached, and itself. */
  const blockRows = (block: number, given: Float32Array): DraftRows => ({
    tokens: tokens.subarray(block * span, (block + 1) * span),
    features: given,
    positions: Int32Array.from({ length: span }, (_, i) => block * span + i),
    sees: () => true,
    picked: Array.from({ length: span }, (_, i) => i),
    top: 1,
  })
  const joined = (picked: readonly { predicted: Float32Array }[]) =>
    Float32Array.from(picked.flatMap(({ predicted }) => [...predicted]))
  /** The cache after the text's rows up to a block. */
  async function textCache(blocks: number) {
    const cache = createDraftCache(sizes.kvHeads * sizes.headSize)
    const end = blocks * span
    if (end === 0) return { cache, picked: [] }
    const picked = await part.run(cache, {
      tokens: tokens.subarray(0, end),
      features: row(features, 0, end),
      positions: Int32Array.from({ length: end }, (_, i) => i),
      sees: (one, other) => seesBlock(one, other, { end, span }),
      picked: Array.from({ length: end }, (_, i) => i),
      top: 1,
    })
    return { cache, picked }
  }

  test("pass 1: the text's rows", async () => {
    const { picked } = await textCache(rows / span)
    expect(maxDifference(joined(picked), steps[0]!)).toBeLessThan(1e-5)
  })

  test("pass 2: a block on what the block before predicted", async () => {
    for (let block = 1; block < rows / span; block++) {
      const { cache } = await textCache(block)
      const picked = await part.run(cache, blockRows(block, row(steps[0]!, (block - 1) * span, span)))
      expect(maxDifference(joined(picked), row(steps[1]!, block * span, span))).toBeLessThan(1e-5)
    }
  })

  test("pass 3: two blocks on predictions, the second on the first's", async () => {
    for (let block = 2; block < rows / span; block++) {
      const { cache } = await textCache(block - 1)
      await part.run(cache, blockRows(block - 1, row(steps[0]!, (block - 2) * span, span)))
      const picked = await part.run(cache, blockRows(block, row(steps[1]!, (block - 1) * span, span)))
      expect(maxDifference(joined(picked), row(steps[2]!, block * span, span))).toBeLessThan(1e-5)
    }
  })

  test("the three differ, and a row of the text does not see later blocks", async () => {
    expect(maxDifference(steps[0]!, steps[1]!)).toBeGreaterThan(0.1)
    expect(
      maxDifference(row(steps[1]!, 2 * span, rows - 2 * span), row(steps[2]!, 2 * span, rows - 2 * span)),
    ).toBeGreaterThan(0.01)
    const { picked } = await textCache(1)
    expect(maxDifference(joined(picked), row(steps[0]!, 0, span))).toBeLessThan(1e-5)
  })
})
