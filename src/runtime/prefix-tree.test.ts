/** Prompts that begin alike are read once, the bits stay, and what is not used makes room. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { randomTokens, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { rowOf } from "../../test/support/tiny-runner.ts"
import { loadRunner } from "./load-runner.ts"
import type { SessionRunner } from "./model-runner.ts"
import { PrefixTree } from "./prefix-tree.ts"

const size = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 2, intermediate: 32, vocabulary: 40 }
const checkpoint = tinyCheckpoint({ family: "llama", seed: 8, context: 512, ...size })
let runner: SessionRunner
beforeAll(async () => {
  runner = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu", merged: true })
})
afterAll(() => runner.dispose())

const { signal } = new AbortController()
const tokens = (...seeds: number[]) => Int32Array.from(seeds.flatMap((seed) => randomTokens(128, 40, seed)))

test("requests that come at once read what they share once, and get the bits of reading alone", async () => {
  const tree = new PrefixTree(runner, 100)
  const before = runner.ledger.totals().rows
  const prompts = [10, 11, 12].map((last) => Int32Array.from([...tokens(1, 2, last), 5]))
  const opened = await Promise.all(prompts.map((prompt) => tree.open(prompt, signal)))
  const caches = opened.map(({ cache }) => cache)
  expect(caches.map(({ length }) => length)).toEqual([384, 384, 384])
  expect(runner.ledger.totals().rows - before).toBe(128 * (2 + 3))
  expect(tree.blocks).toBe(5)
  for (const [i, cache] of caches.entries()) {
    const whole = await runner.forward({ input: { tokens: prompts[i]! }, want: { logits: "last" } })
    const last = { input: { tokens: prompts[i]!.slice(384) }, cache, want: { logits: "last" as const } }
    const found = await runner.forward(last)
    expect(rowOf(found.logits!.data, 0, 40)).toEqual(rowOf(whole.logits!.data, 0, 40))
    cache.dispose()
  }
  tree.dispose()
  expect(runner.arena.pages).toHaveLength(0)
})

test("a prompt of exactly whole blocks keeps one back: its last logits are in no cache", async () => {
  const tree = new PrefixTree(runner, 100)
  const { cache } = await tree.open(tokens(1, 2), signal)
  expect(cache.length).toBe(128)
  cache.dispose()
  tree.dispose()
})

test("the least recently used leaf makes room; what a cache still holds stays alive", async () => {
  const tree = new PrefixTree(runner, 2)
  const open = async (...seeds: number[]) => (await tree.open(Int32Array.from([...tokens(...seeds), 1]), signal)).cache
  const first = await open(1)
  const second = await open(2)
  second.dispose()
  ;(await open(1)).dispose()
  ;(await open(3)).dispose() // 2 goes
  expect(tree.blocks).toBe(2)
  const before = runner.ledger.totals().rows
  ;(await open(1)).dispose()
  expect(runner.ledger.totals().rows).toBe(before)
  ;(await open(2)).dispose()
  expect(runner.ledger.totals().rows).toBe(before + 128)
  tree.dispose()
  expect(first.length).toBe(128)
  expect(runner.arena.pages).toHaveLength(1)
  first.dispose()
  expect(runner.arena.pages).toHaveLength(0)
})

test("aborted, it gives what there is; a failure is told to all who waited and forgotten", async () => {
  const tree = new PrefixTree(runner, 10)
  const { cache: none, found } = await tree.open(Int32Array.from([...tokens(1), 1]), AbortSignal.abort())
  expect([none.length, found]).toEqual([0, 0])
  const bad = Int32Array.from([...tokens(1).fill(999), 1])
  const both = await Promise.allSettled([tree.open(bad, signal), tree.open(bad, signal)])
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"])
  expect(tree.blocks).toBe(0)
  tree.dispose()
})

test("nothing is found under another salt, at any depth", async () => {
  const tree = new PrefixTree(runner, 100)
  const prompt = Int32Array.from([...tokens(1, 2), 1])
  const found: number[] = []
  for (const salt of ["a", "b", "a", "b", ""]) {
    const opened = await tree.open(prompt, signal, salt)
    found.push(opened.found)
    opened.cache.dispose()
  }
  expect(found).toEqual([0, 0, 256, 256, 0])
  expect(tree.blocks).toBe(6)
  tree.dispose()
})
