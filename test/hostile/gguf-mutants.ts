/** Hostile GGUF files. */

import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  type TestGguf,
  type TestTensor,
  type TestValue,
  text,
  u32,
  writeGguf,
} from "../../src/models/files/test-gguf.ts"
import { ggufBase, ggufTensors } from "./bases.ts"
import { type Mutant, scrambled } from "./mutant.ts"

const mutant = (name: string, bytes: Buffer, outcome: Mutant["outcome"]): Mutant => ({
  name: `gguf: ${name}`,
  outcome,
  write: (folder) => {
    const path = join(folder, "model.gguf")
    writeFileSync(path, bytes)
    return path
  },
})
const made = (name: string, change: Partial<TestGguf>, outcome: Mutant["outcome"] = "refused"): Mutant =>
  mutant(name, writeGguf({ ...ggufBase, ...change }).bytes, outcome)

const LONGS = [0n, 1n << 16n, 1n << 31n, 1n << 32n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n]
const WORDS = [0, 9, 0x7fffffff, 0x80000000, 0xffffffff]

export function ggufMutants(): Mutant[] {
  return [
    made("honest", {}, "opens"),
    pipe,
    ...truncated(),
    ...overwritten(),
    ...structures(),
    ...settings(),
    ...scrambles(),
  ]
}

const whole = writeGguf(ggufBase)
const headerEnd = whole.boundaries.findLast((at) => at <= whole.bytes.length - dataLength())!

function dataLength(): number {
  return ggufTensors.reduce((sum, { data }) => sum + Math.ceil(data.length / 32) * 32, 0)
}

function truncated(): Mutant[] {
  const cuts = new Set(
    whole.boundaries.flatMap((at) => [at - 1, at, at + 1]).filter((at) => at < whole.bytes.length - 16),
  )
  return [0, ...cuts].map((at) => mutant(`cut at byte ${at}`, whole.bytes.subarray(0, at), "refused"))
}

/** Absurd numbers where every header field begins. */
function overwritten(): Mutant[] {
  return whole.boundaries
    .filter((at) => at < headerEnd - 8)
    .flatMap((at) => [
      ...LONGS.map((value) => {
        const bytes = Buffer.from(whole.bytes)
        bytes.writeBigUInt64LE(value, at)
        return mutant(`u64 ${value} at byte ${at}`, bytes, "either")
      }),
      ...WORDS.map((value) => {
        const bytes = Buffer.from(whole.bytes)
        bytes.writeUInt32LE(value, at)
        return mutant(`u32 ${value} at byte ${at}`, bytes, "either")
      }),
    ])
}

const scrambles = (): Mutant[] =>
  scrambled(whole.bytes, headerEnd, 500, 20261123).map(({ label, bytes }) => mutant(label, bytes, "either"))

function withTensor(index: number, change: Partial<TestTensor>): TestTensor[] {
  return ggufTensors.map((tensor, at) => (at === index ? { ...tensor, ...change } : tensor))
}
const withEntries = (...entries: (readonly [string, TestValue])[]): Partial<TestGguf> => ({
  metadata: [...ggufBase.metadata, ...entries],
})
const withoutKey = (key: string) => ggufBase.metadata.filter(([each]) => each !== key)
const replaced = (key: string, value: TestValue): Partial<TestGguf> => ({
  metadata: [...withoutKey(key), [key, value]],
})

const aligned = (alignment: number) => ({ ...replaced("general.alignment", u32(alignment)), alignment })

/** Opening one without asking first waits for ever. */
const pipe: Mutant = {
  name: "gguf: a pipe",
  outcome: "refused",
  write: (folder) => {
    const path = join(folder, "model.gguf")
    if (process.platform !== "win32") execFileSync("mkfifo", [path])
    return path
  },
}

function structures(): Mutant[] {
  const empty = new Uint8Array()
  const extra = (tensor: Partial<TestTensor>) => ({
    tensors: [...ggufTensors, { ...ggufTensors[1]!, name: "extra.weight", ...tensor }],
  })
  let nested: TestValue = u32(1)
  for (let depth = 0; depth < 2000; depth++) nested = [9, [nested]]
  const odd = ["__proto__", "constructor", "toString", "hasOwnProperty", "../../etc/passwd", "\u0000", "\u001b[2J", ""]
  const longs = [0, 1 << 20, 2 ** 31, 2 ** 32, 2 ** 53, 2n ** 63n, 2n ** 64n - 1n]
  return [
    ...["GGML", "FUGG", "\0\0\0\0", "{}  "].map((magic) => made(`magic ${JSON.stringify(magic)}`, { magic })),
    ...[0, 1, 4, 0x03000000, 0x02000000, 0xffffffff].map((version) => made(`version ${version}`, { version })),
    ...longs.map((count) => made(`tensor count ${count}`, { tensorCount: BigInt(count) })),
    ...longs.map((count) => made(`entry count ${count}`, { entryCount: BigInt(count) })),
    made("a key twice", withEntries(["llama.block_count", u32(1)])),
    made("a tensor twice", { tensors: [...ggufTensors, ggufTensors[0]!] }),
    ...odd.map((key) => made(`key ${JSON.stringify(key)}`, withEntries([key, text("polluted")]), "opens")),
    ...odd.map((name) => made(`tensor ${JSON.stringify(name)}`, extra({ name }), "opens")),
    made("nested arrays", withEntries(["deep", nested])),
    made("a string array of one word that is long", withEntries(["long", text("x".repeat(1 << 20))]), "opens"),
    made("a tensor name of 100 kB", extra({ name: "x".repeat(100_000) })),
    ...[0, 3, 12, 2 ** 21, 2 ** 31, 0xffffffff].map((a) =>
      made(`alignment ${a}`, replaced("general.alignment", u32(a))),
    ),
    made("alignment as text", replaced("general.alignment", text("32"))),
    made("alignment 2^63", replaced("general.alignment", [10, 2n ** 63n])),
    made("alignment a float", replaced("general.alignment", [6, 32.5])),
    ...[[], [1, 1, 1, 1, 1], new Array<number>(1000).fill(1)].map((d) =>
      made(`rank ${d.length}`, extra({ dimensions: d })),
    ),
    ...longs
      .filter((size) => size !== 1 << 20)
      .map((size) => made(`dimension ${size}`, { tensors: withTensor(1, { dimensions: [size] }) })),
    made("dimensions whose product wraps to 0", { tensors: withTensor(1, { dimensions: [2 ** 32, 2 ** 32] }) }),
    made("dimensions whose product wraps to 8", { tensors: withTensor(1, { dimensions: [2n ** 61n + 1n, 8] }) }),
    made("dimensions of exabytes", { tensors: withTensor(1, { dimensions: [2 ** 20, 2 ** 20, 2 ** 20, 2] }) }),
    made("a norm of the wrong size", { tensors: withTensor(1, { dimensions: [4] }) }),
    made("a matrix turned round", { tensors: withTensor(8, { dimensions: [12, 8] }) }),
    ...[4, 5, 31, 32, 33, 36, 42, 99, 2 ** 31, 0xffffffff].map((type) =>
      made(`tensor type ${type}`, { tensors: withTensor(3, { type }) }),
    ),
    ...[9, 15, 24, 25, 26, 27, 28, 41].map((type) =>
      made(`not weights: ${type}`, { tensors: withTensor(1, { type }) }),
    ),
    ...[2, 8, 12, 16].map((type) => made(`rows not of whole blocks: ${type}`, { tensors: withTensor(3, { type }) })),
    ...[1, 31, 33].map((offset) => made(`misaligned offset ${offset}`, { tensors: withTensor(5, { offset }) })),
    ...[32, 64, 320].map((offset) => made(`overlapping offset ${offset}`, { tensors: withTensor(5, { offset }) })),
    ...[2 ** 20, 2 ** 40, 2 ** 53 - 32, 2n ** 63n, 2n ** 64n - 32n].map((offset) =>
      made(`offset ${offset} past the end`, { tensors: withTensor(5, { offset }) }),
    ),
    ...ggufTensors.map(({ name }) => made(`without ${name}`, { tensors: ggufTensors.filter((t) => t.name !== name) })),
    made(
      "misaligned, touching nothing",
      extra({ dimensions: [2], data: new Uint8Array(64), offset: dataLength() + 4 }),
    ),
    ...[3, 12, 48].map((alignment) => made(`honest but for alignment ${alignment}`, aligned(alignment))),
    ...[1, 8, 64, 4096].map((alignment) => made(`alignment ${alignment}`, aligned(alignment), "opens")),
    made("no tensors", { tensors: [] }),
    made("no metadata", { metadata: [] }),
    made("one of 3 parts", withEntries(["split.count", [2, 3]])),
    made("a split count of text", withEntries(["split.count", text("many")])),
    made("an empty tensor", extra({ dimensions: [0], data: empty })),
    made("two names for one tensor", extra({ name: "blk.00.attn_q.weight" }), "either"),
    made("rope factors that are negative", extra({ name: "rope_freqs.weight", dimensions: [2], data: floats(-1, 1) })),
    made(
      "rope factors that are NaN",
      extra({ name: "rope_freqs.weight", dimensions: [2], data: floats(Number.NaN, 1) }),
    ),
    made("too many rope factors", extra({ name: "rope_freqs.weight" })),
    made("honest rope factors", extra({ name: "rope_freqs.weight", dimensions: [2], data: floats(1, 8) }), "opens"),
  ]
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)

/** Every setting in turn missing, and with every absurd value. */
function settings(): Mutant[] {
  const absurd: readonly (readonly [string, TestValue])[] = [
    ["0", u32(0)],
    ["1e9", u32(1_000_000_000)],
    ["2^32-1", u32(0xffffffff)],
    ["-1", [5, -1]],
    ["2^63", [10, 2n ** 63n]],
    ["-2^63", [11, -(2n ** 63n)]],
    ["NaN", [6, Number.NaN]],
    ["Infinity", [6, Number.POSITIVE_INFINITY]],
    ["1e300", [12, 1e300]],
    ["a half", [6, 0.5]],
    ["text", text("seven")],
    ["true", [7, true]],
    ["a list", [9, [u32(1), u32(2)]]],
    ["an empty list", [9, []]],
  ]
  const optional = ["llama.attention.key_length", "llama.attention.value_length", "llama.attention.sliding_window"]
  optional.push("llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.rope.scaling.original_context_length")
  optional.push("llama.expert_count", "llama.attention.sliding_window_pattern", "llama.rope.scaling.attn_factor")
  const keys = [...ggufBase.metadata.map(([key]) => key), ...optional]
  return keys.flatMap((key) => [
    made(`without ${key}`, { metadata: withoutKey(key) }, "either"),
    ...absurd.map(([label, value]) => made(`${key} = ${label}`, replaced(key, value), "either")),
  ])
}
