/** The change to a session with every power, above all when it fails. */
import { expect, test } from "vitest"
import { randomTokens, type TinyModel, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { ForerunError } from "../base/errors.ts"
import { createEmbed } from "../models/embedding.ts"
import { loadRunner, loadSession } from "./load-runner.ts"
import { SessionRunner } from "./model-runner.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 8,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 32,
  vocabulary: 40,
}
const options = { weights: "f32", threads: 1, device: "cpu" } as const
const plain = { steerable: false, merged: false }
const checkpoint = tinyCheckpoint(tiny)
const tokens = Int32Array.from(randomTokens(5, tiny.vocabulary, 1))
const whole = { input: { tokens }, want: { logits: "all" } } as const
const span = { input: { tokens }, layers: [0, 1], want: { hidden: [1] } } as const

/** A runner whose sessions are made anew only where `fails` allows it. */
async function runnerThat(fails: (steerable: boolean, attempt: number) => boolean) {
  let attempt = 0
  return new SessionRunner({
    ...(await loadSession(checkpoint, options, plain)),
    embed: createEmbed(checkpoint.config, checkpoint.weights),
    async rebuild(powers) {
      if (fails(powers.steerable, ++attempt)) throw new ForerunError("E_IO", "no space left on the disk")
      return loadSession(checkpoint, options, powers)
    },
  })
}

const logitsOf = async (runner: SessionRunner) => (await runner.forward(whole)).logits!.data

test("a span that cannot be made ready is a typed error, and plain passes go on with the same bits", async () => {
  const sound = await loadRunner(checkpoint, options)
  const expected = await logitsOf(sound)
  const runner = await runnerThat((steerable, attempt) => steerable && attempt === 1)
  const cache = runner.openCache()
  const first = await runner.forward({ ...whole, cache })
  first.keep([0, 1, 2])
  const failed = expect.objectContaining({ code: "E_IO", message: expect.stringContaining("no space left") })
  await expect(runner.forward(span)).rejects.toEqual(failed)
  expect(await logitsOf(runner)).toEqual(expected)
  expect(cache.length).toBe(3)
  const [mine, theirs] = [await runner.forward(span), await sound.forward(span)] // the disk has room again
  expect(mine.hidden.get(1)!.data).toEqual(theirs.hidden.get(1)!.data)
  await runner.dispose()
  await sound.dispose()
})

test("the head alone needs no past: rows beyond a block, with a cache, are what they are without one", async () => {
  const runner = await loadRunner(checkpoint, options)
  const cache = runner.openCache()
  const many = Int32Array.from(randomTokens(150, tiny.vocabulary, 2))
  const read = await runner.forward({ input: { tokens: many }, cache, want: { logits: "all", hidden: [tiny.layers] } })
  read.keep(Array.from({ length: 100 }, (_, row) => row))
  const states = read.hidden.get(tiny.layers)!.data
  const { layers } = tiny
  const head = { input: { hidden: states }, layers: [layers, layers], cache, want: { logits: "all" } } as const
  const result = await runner.forward(head)
  expect(result.logits!.data).toEqual(read.logits!.data)
  result.keep([0, 1])
  expect(cache.length).toBe(100)
  await runner.dispose()
})

test("when the plain session cannot be made again either, the next pass tries once more", async () => {
  const runner = await runnerThat((_, attempt) => attempt <= 3)
  const expected = await logitsOf(runner)
  await expect(runner.forward(span)).rejects.toEqual(expect.objectContaining({ code: "E_IO" })) // two attempts
  await expect(runner.forward(whole)).rejects.toEqual(expect.objectContaining({ code: "E_IO" }))
  expect(await logitsOf(runner)).toEqual(expected)
  await runner.dispose()
})
