/** Every tensor type against the golden floats (gguf-py and ggml agree on them), bit for bit. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import type { TensorType } from "../weights.ts"
import { blockSize, dequantise, typeBytes } from "./dequantise.ts"
import { goldens, hasShared } from "./test-paths.ts"

interface GoldenType {
  block_size: number
  block_bytes: number
  entries: { blocks: number; raw: string; values: { base64: string } }[]
}
const quantised = hasShared ? readFileSync(join(goldens, "quant/quant.json"), "utf8") : '{"types":{}}'
const golden = JSON.parse(quantised) as { types: Record<string, GoldenType> }

const bitsOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(new Uint8Array(bytes).buffer)

describe("dequantise", () => {
  for (const [name, { block_size, block_bytes, entries }] of Object.entries(golden.types))
    it(`gives ${name}'s golden bits`, () => {
      const type = name as TensorType
      expect(blockSize(type)).toBe(block_size)
      expect(typeBytes(type)).toBe(block_bytes)
      for (const { blocks, raw, values } of entries) {
        const found = dequantise(type, Buffer.from(raw, "base64"), blocks * block_size)
        const wanted = bitsOf(Buffer.from(values.base64, "base64"))
        const bits = new Uint32Array(found.buffer)
        expect(bits.length).toBe(wanted.length)
        expect(bits.findIndex((each, index) => each !== wanted[index])).toBe(-1)
      }
    })

  it("refuses types that are not weights, broken blocks and short data", () => {
    expect(() => dequantise("I32", new Uint8Array(4), 1)).toThrow(/I32/)
    expect(() => dequantise("Q4_0", new Uint8Array(18), 31)).toThrow(/multiple of 32/)
    expect(() => dequantise("Q4_0", new Uint8Array(17), 32)).toThrow(/18 bytes, found 17/)
  })
})
