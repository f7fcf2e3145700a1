/** Files we write are files we read; halves are rounded as IEEE 754 says. */
import { createHash } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, describe, expect, test } from "vitest"
import { readPart, writePart } from "../trained-part.ts"
import { openFileSource } from "./file-source.ts"
import { halfValues } from "./half.ts"
import { readSafetensorsHeader } from "./safetensors.ts"
import { toHalf } from "./to-half.ts"
import { writeSafetensorsFile } from "./write-safetensors.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-write-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("half precision", () => {
  test.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00], // halfway to 65536: ties to even, which is infinity
    [1e10, 0x7c00],
    [-Infinity, 0xfc00],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000], // halfway to the smallest: ties to even, which is zero
    [2 ** -25 * 1.001, 0x0001],
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -25, 0x0400],
    [1 + 2 ** -11, 0x3c00], // halfway between 1 and the next
    [1 + 3 * 2 ** -11, 0x3c02],
  ])("%d is %i", (value, bits) => {
    expect(toHalf(Float32Array.of(value))[0]).toBe(bits)
  })

  test("every half comes back as itself", () => {
    const values = halfValues()
    const back = toHalf(values)
    const wrong = Array.from(back.keys()).filter((i) => back[i] !== i && !Number.isNaN(values[i]))
    expect(wrong).toEqual([])
    expect(Number.isNaN(values[toHalf(Float32Array.of(Number.NaN))[0]!])).toBe(true)
  })

  test("no half is nearer than the one chosen", () => {
    const values = halfValues()
    fc.assert(
      fc.property(fc.float({ min: Math.fround(-60000), max: Math.fround(60000), noNaN: true }), (x) => {
        const chosen = toHalf(Float32Array.of(x))[0]!
        const distance = Math.abs(values[chosen]! - x)
        for (const other of [chosen - 1, chosen + 1])
          if (other >= 0 && Number.isFinite(values[other]))
            expect(Math.abs(values[other]! - x)).toBeGreaterThanOrEqual(distance)
      }),
      { numRuns: 2000 },
    )
  })
})

test("a written file is read back, whole and aligned, and no temporary one is left", async () => {
  const path = join(folder, "a.safetensors")
  const data = (array: Float32Array | Uint16Array) => new Uint8Array(array.buffer)
  const numbers = Float32Array.of(1, -2, 3.5, 0.25, 7, -0.125)
  const sha256 = await writeSafetensorsFile(path, [
    { name: "größe", type: "F32", shape: [2, 3], data: data(numbers) },
    { name: "b", type: "F16", shape: [3], data: data(toHalf(numbers.subarray(0, 3))) },
    { name: "scalar", type: "F32", shape: [], data: data(Float32Array.of(5)) },
  ])
  const source = openFileSource(path)
  const entries = readSafetensorsHeader(source)
  expect([...entries.values()].map(({ name, type, shape, offset }) => [name, type, shape, offset % 8])).toEqual([
    ["größe", "F32", [2, 3], 0],
    ["b", "F16", [3], 0],
    ["scalar", "F32", [], 6],
  ])
  const { offset, bytes } = entries.get("größe")!
  expect(new Float32Array(source.read(offset, bytes).buffer)).toEqual(numbers)
  source.close()
  expect(sha256).toBe(createHash("sha256").update(readFileSync(path)).digest("hex"))
  expect(readdirSync(folder)).toEqual(["a.safetensors"])
})

test("data that do not fill their shape are refused, and so is a name used twice", async () => {
  const tensor = { name: "x", type: "F32", shape: [2], data: new Uint8Array(8) } as const
  const path = join(folder, "never.safetensors")
  await expect(writeSafetensorsFile(path, [{ ...tensor, shape: [3] }])).rejects.toMatchObject({ code: "E_INTERNAL" })
  await expect(writeSafetensorsFile(path, [tensor, tensor])).rejects.toMatchObject({ code: "E_INTERNAL" })
  await expect(writeSafetensorsFile(join(folder, "none", "x"), [tensor])).rejects.toMatchObject({ code: "E_IO" })
})

test("a trained part says where it comes from, and its weights come back as halves", async () => {
  const part = join(folder, "part")
  const record = {
    method: "medusa",
    target: { sha256: "ab".repeat(32), name: "tiny" },
    recipe: { heads: 3, steps: 10 },
    metrics: { loss: 1.5 },
  }
  const values = Float32Array.of(1, 1 / 3, -7)
  const { sha256 } = await writePart(
    part,
    [
      { name: "head.0", shape: [3], values },
      { name: "exact", shape: [3], values, type: "F32" },
    ],
    record,
  )
  const read = readPart(part)
  expect(JSON.parse(readFileSync(join(part, "forerun.json"), "utf8"))).toEqual({
    ...record,
    weights: { file: "weights.safetensors", sha256 },
  })
  expect(read.record.get("method")).toBe("medusa")
  expect(Array.from(read.tensors.get("head.0")!.values)).toEqual([1, 0.333251953125, -7])
  expect(read.tensors.get("exact")!.values).toEqual(values)
})
