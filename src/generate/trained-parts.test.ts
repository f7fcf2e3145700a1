/** Where trained weights are found, when they are refused, and that they are opened once and disposed with the model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder } from "../../test/support/tiny-folder.ts"
import type { PartContext } from "../decoding/method-part.ts"
import { partTensor } from "../decoding/method-part.ts"
import { Graph, multiply } from "../graph/index.ts"
import { type Checkpoint, checkpointHash, openCheckpoint } from "../models/files/checkpoint.ts"
import { partFile, recordFile, writePart } from "../models/trained-part.ts"
import { TrainedParts } from "./trained-parts.ts"

let tiny: TinyFolder
let checkpoint: Checkpoint
let folder: string
let sha256: string
const opened: PartContext[] = []
let disposed = 0

const method = {
  name: "doubler",
  part: {
    recipe: "doubling",
    async open(context: PartContext) {
      opened.push(context)
      const graph = new Graph()
      graph.output("y", multiply(graph.input("x", "float32", [1]), graph.scalar("float32", 2)))
      const runner = await context.openGraph(graph)
      return {
        runner,
        async dispose() {
          disposed++
          await runner.dispose()
        },
      }
    },
  },
}

beforeAll(async () => {
  tiny = makeTinyFolder()
  checkpoint = openCheckpoint(tiny.path)
  sha256 = await checkpointHash(checkpoint)
  folder = mkdtempSync(join(tmpdir(), "forerun-part-"))
})
afterAll(() => {
  checkpoint.close()
  tiny.remove()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  opened.length = 0
  disposed = 0
})

const write = (name: string, record: { method?: string; sha256?: string } = {}) =>
  writePart(join(folder, name), [{ name: "w", shape: [2], values: Float32Array.of(0.5, -1) }], {
    method: record.method ?? "doubling",
    target: { sha256: record.sha256 ?? sha256, name: "a target" },
    recipe: { heads: 3 },
    metrics: { loss: 0.25 },
  })
const parts = (name?: string) =>
  new TrainedParts({ checkpoint, threads: 1, folder: name === undefined ? undefined : join(folder, name) })

test("a part is opened once, with its tensors, record and target; its passes are counted; it is disposed with the model", async () => {
  await write("plain")
  const some = parts("plain")
  const [one, two] = await Promise.all([some.of(method), some.of(method)])
  expect(one).toBe(two)
  expect(opened).toHaveLength(1)
  const { tensors, record, target } = opened[0]!
  expect([...partTensor({ tensors }, "w", [-1]).values]).toEqual([0.5, -1])
  expect(record).toMatchObject({ method: "doubling", recipe: { heads: 3 }, metrics: { loss: 0.25 } })
  const { hidden, tiedHead } = target.config
  const table = target.weight(tiedHead ? "model.embed_tokens.weight" : "lm_head.weight")
  expect([...target.headRows([5, 0])]).toEqual([
    ...table.subarray(5 * hidden, 6 * hidden),
    ...table.subarray(0, hidden),
  ])
  const embedding = target.weight("model.embed_tokens.weight")
  expect([...target.embed(Int32Array.of(7))]).toEqual([...embedding.subarray(7 * hidden, 8 * hidden)])
  const { runner } = one!.part as Awaited<ReturnType<typeof method.part.open>>
  const x = { type: "float32", shape: [1], data: Float32Array.of(21) } as const
  expect([...(await runner.run({ x }, ["y"])).y!.data]).toEqual([42])
  expect(one!.ledger.totals().passes).toBe(1)
  await some.dispose()
  expect(disposed).toBe(1)
})

test("the folder may hold a folder for each recipe; a method without weights needs none", async () => {
  await write("several/doubling")
  const some = parts("several")
  expect(await some.of(method)).toBeDefined()
  expect(await parts("nowhere").of({ name: "plain" })).toBeUndefined()
  await some.dispose()
})

test("an adapter's folder may hold parts; a part that the caller gives comes first, and the adapter itself is none", async () => {
  await write("change", { method: "tripling" })
  await write("change/doubling")
  const openedWith = async (given: { folder?: string; adapter?: string }) => {
    const paths = Object.entries(given).map(([role, name]) => [role, join(folder, name)])
    const some = new TrainedParts({ checkpoint, threads: 1, ...Object.fromEntries(paths) })
    await some.of(method)
    await some.dispose()
    return opened.length
  }
  expect(await openedWith({ adapter: "change" })).toBe(1)
  expect(await openedWith({ adapter: "change", folder: "change" })).toBe(2)
  await write("given", { sha256: "2".repeat(64) })
  await expect(openedWith({ adapter: "change", folder: "given" })).rejects.toMatchObject({ code: "E_DRAFT" })
})

test("what is missing, of another recipe or for another target is refused, and says what to do", async () => {
  const hint = expect.stringContaining("forerun train doubling")
  await expect(parts().of(method)).rejects.toMatchObject({ code: "E_DRAFT", hint })
  await expect(parts("nowhere").of(method)).rejects.toMatchObject({ code: "E_DRAFT", hint })
  await write("other", { method: "tripling" })
  await expect(parts("other").of(method)).rejects.toMatchObject({
    code: "E_DRAFT",
    message: expect.stringContaining("tripling"),
  })
  await write("foreign", { sha256: "1".repeat(64) })
  await expect(parts("foreign").of(method)).rejects.toMatchObject({ code: "E_DRAFT", hint })
  expect(opened).toEqual([])
})

test("weights that are not those of the record, and records that are none, are refused; a second try may succeed", async () => {
  await write("torn")
  const file = join(folder, "torn", partFile)
  const whole = readFileSync(file)
  const broken = Buffer.from(whole)
  broken[broken.length - 1]! ^= 1
  writeFileSync(file, broken)
  const some = parts("torn")
  await expect(some.of(method)).rejects.toMatchObject({ code: "E_MODEL_FORMAT" })
  writeFileSync(file, whole)
  expect(await some.of(method)).toBeDefined()
  await some.dispose()
  writeFileSync(join(folder, "torn", recordFile), '{"method": 3}')
  await expect(parts("torn").of(method)).rejects.toMatchObject({ code: "E_MODEL_FORMAT" })
})

test("a tensor of another shape, or none, is refused by name", () => {
  const tensors = new Map([["w", { shape: [2, 3], values: new Float32Array(6) }]])
  expect(partTensor({ tensors }, "w", [2, -1]).shape).toEqual([2, 3])
  for (const [name, shape] of [
    ["w", [3, 2]],
    ["w", [6]],
    ["v", [1]],
  ] as const)
    expect(() => partTensor({ tensors }, name, shape)).toThrow(expect.objectContaining({ code: "E_MODEL_FORMAT" }))
})
