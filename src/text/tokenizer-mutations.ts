/** For tests: seeded hostile variants of a tokenizer's file or metadata. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus"

/** Whole numbers from 0 to n - 1, the same for the same seed. */
export function seededPick(seed: number): (n: number) => number {
  const generator = xoroshiro128plus(seed)
  return (n) => (generator.next() >>> 0) % n
}

// What a careless or hostile writer may put in any place.
const hostileValues: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => "",
  () => "__proto__",
  () => "(a+)+$",
  () => "(x+x+)+y",
  () => "a".repeat(100_000),
  () => -1,
  () => 0,
  () => 1e9,
  () => 2 ** 53,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => 1.5,
  () => 7n,
  () => true,
  () => [],
  () => [null],
  () => [["a", "b", "c"]],
  () => ["a b", "zz zz"],
  () => ({}),
  () => ({ type: "Sequence" }),
  () => ({ type: "constructor" }),
  () => JSON.parse('{"__proto__": {"type": "BPE"}, "constructor": 3}'),
  () => ({ type: "Split", pattern: { Regex: "(a+)+b|(\\s*)*$" }, behavior: "Isolated" }),
  () => ({ type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" }),
  () => ({ type: "Replace", pattern: { String: "a" }, content: "aa".repeat(32) }),
  () => ({ type: "Replace", pattern: { Regex: "" }, content: "aaaaaaaa" }),
  () => ({ type: "FixedLength", length: 0 }),
  () => ({ type: "Precompiled", precompiled_charsmap: "AAAA" }),
  () => nested(200, "normalizers"),
  () => nested(200, "pretokenizers"),
  () => nested(200, "decoders"),
]

function nested(depth: number, key: string): unknown {
  let value: unknown = { type: "NFC" }
  for (let i = 0; i < depth; i++) value = { type: "Sequence", [key]: [value] }
  return value
}

/** A deep copy in which one to three places hold something hostile, are gone, doubled or swapped. */
export function mutateJson(original: unknown, seed: number): unknown {
  const pick = seededPick(seed)
  const copy = structuredClone(original)
  const changes = 1 + pick(3)
  for (let i = 0; i < changes; i++) mutateOnce(copy, pick)
  return copy
}

function mutateOnce(root: unknown, pick: (n: number) => number): void {
  // Walk down a random path; stop at a random depth, so that both whole sections and single fields are hit.
  let holder = root
  for (;;) {
    if (typeof holder !== "object" || holder === null) return
    const keys = Object.keys(holder)
    const key = keys[pick(keys.length)]
    if (key === undefined) return
    const target = holder as Record<string, unknown>
    const inner = target[key]
    if (typeof inner === "object" && inner !== null && Object.keys(inner).length > 0 && pick(4) > 0) {
      holder = inner
      continue
    }
    const other = keys[pick(keys.length)]!
    switch (pick(5)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1)
        else delete target[key]
        return
      case 1:
        target[key] = target[other]
        return
      case 2:
        Object.defineProperty(target, Array.isArray(holder) ? key : "__proto__", {
          value: inner,
          enumerable: true,
          configurable: true,
          writable: true,
        })
        return
      default:
        target[key] = hostileValues[pick(hostileValues.length)]!()
        return
    }
  }
}

/** The same for a metadata map, whose lists may be typed arrays. */
export function mutateMetadata(original: ReadonlyMap<string, unknown>, seed: number): Map<string, unknown> {
  const plain = Object.fromEntries(
    [...original].map(([key, value]) => [key, ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value]),
  )
  return new Map(Object.entries(mutateJson(plain, seed) as object))
}
