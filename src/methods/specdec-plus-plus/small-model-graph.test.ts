/** The small model as it is trained and as it runs: the same logits, over the target's whole vocabulary. */
import { expect, test } from "vitest"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import {
  openSmallModel,
  type SmallModelSizes,
  smallPrefix,
  vocabularyName,
} from "../../decoding/drafters/small-model.ts"
import { Graph } from "../../graph/index.ts"
import { createEmbed } from "../../models/embedding.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { headProjection, materialisedHead, smallModelLogits, trainedShapes } from "./small-model-graph.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 48,
  heads: 3,
  kvHeads: 1,
  headSize: 16,
  layers: 1,
  intermediate: 64,
  vocabulary: 60,
}
const sizes: SmallModelSizes = { layers: 2, hidden: 64, kvHeads: 1, intermediate: 96, vocabulary: 20 }

test("trained and run, it is the same model", async () => {
  const target = tinyCheckpoint(tiny)
  const random = createRandom(9)
  const values = new Map<string, PartTensor>()
  for (const [name, shape] of trainedShapes(sizes, target.config)) {
    const [own, size] = [random.fork(name), shape.reduce((n, dim) => n * dim, 1)]
    const spread = shape.length === 1 ? 0.3 : 2 / Math.sqrt(shape.at(-1)!)
    const centre = shape.length === 1 ? 1 : 0
    values.set(name, {
      shape,
      values: Float32Array.from({ length: size }, () => centre + spread * (2 * own.next() - 1)),
    })
  }
  const ids = Int32Array.from({ length: 20 }, (_, i) => 3 * i + 1)
  const headRows = createHeadRows(target.config, target.weights)(ids)
  const embed = createEmbed(target.config, target.weights)
  const tokens = Int32Array.from([3, 1, 4, 1, 5, 9, 2, 6])
  const { hidden } = target.config

  const graph = new Graph()
  const embedded = graph.input("embedded", "float32", [1, tokens.length, hidden])
  const parameter = (name: string) => {
    const { shape, values: data } = values.get(name)!
    return graph.weight(name, "float32", shape, () => new Uint8Array(data.slice().buffer))
  }
  graph.output(
    "logits",
    smallModelLogits(embedded, { graph, parameter, sizes, target: target.config, headRows }).logits,
  )
  const trained = await openGraph(graph, { threads: 1 })
  const data = embed(tokens, new Int32Array(tokens.length))
  const found = await trained.run({ embedded: { type: "float32", shape: [1, tokens.length, hidden], data } }, [
    "logits",
  ])
  const expected = found.logits!.data as Float32Array

  const head = materialisedHead(headRows, values.get(headProjection)!.values, sizes)
  const tensors = new Map([
    ...values,
    [head.name, head],
    [vocabularyName, { shape: [20], values: Float32Array.from(ids) }],
  ])
  tensors.delete(headProjection)
  const small = await openSmallModel({
    tensors,
    target: { config: target.config, embed: (ids, positions = new Int32Array(ids.length)) => embed(ids, positions) },
    openGraph: (built) => openGraph(built, { threads: 1 }),
  })
  const { logits } = await small.runner.forward({ input: { tokens }, want: { logits: "all" } })
  expect([logits!.rows, logits!.columns]).toEqual([8, 60])
  for (let row = 0; row < 8; row++)
    for (let id = 0; id < 60; id++) {
      const value = logits!.data[row * 60 + id]!
      const place = ids.indexOf(id)
      if (place < 0) expect(value).toBe(Number.NEGATIVE_INFINITY)
      else expect(Math.abs(value - expected[row * 20 + place]!)).toBeLessThan(0.15) // it runs in 8 bits
    }
  const top = await small.runner.forward({ input: { tokens }, want: { top: 3 } })
  expect([...top.top!.ids].every((id) => id % 3 === 1)).toBe(true)
  expect([...tensors.keys()].filter((name) => !name.startsWith(smallPrefix))).toEqual([vocabularyName])
  await trained.dispose()
  await small.dispose()
})
