/** Layer spans, the steerable graph, threads and requested outputs: none of them changes a bit. */
import { describe, expect, test } from "vitest"
import { differences, differingBits, oneByOne, runRows } from "../support/bit-exact.ts"
import { full } from "../support/shared.ts"
import { randomTokens } from "../support/tiny-model.ts"
import { logSumExp64, range } from "../support/tiny-runner.ts"
import { cases, oneFormatEach, openCase } from "./models.ts"

const length = 150

describe.each(full ? cases : oneFormatEach)("$name", (one) => {
  const tokens = randomTokens(length, one.model.vocabulary, one.model.seed)

  test("layers [0, e) and then [e, L) from the states between equal a whole pass", async () => {
    const runner = await openCase(one)
    const { layers } = runner.config
    const plain = await oneByOne(runner, runner.openCache(), tokens)
    for (const cut of range(layers - 1, 1))
      for (const size of [1, 7]) {
        const cache = runner.openCache()
        await runRows(runner, cache, tokens.slice(0, length - size))
        const input = { tokens: Int32Array.from(tokens.slice(-size)) }
        const first = await runner.forward({ input, cache, layers: [0, cut], want: { hidden: [cut] } })
        first.keep(range(size))
        expect(cache.length).toBe(length - size) // the upper layers have not run
        expect(cache.lengths[0]).toBe(length)
        const hidden = first.hidden.get(cut)!.data
        const second = await runner.forward({
          input: { hidden },
          cache,
          layers: [cut, layers],
          want: { logits: "all", hidden: ["final"] },
        })
        second.keep(range(size))
        expect(cache.length).toBe(length)
        for (const row of range(size)) {
          const whole = plain[length - size + row]!
          const { vocabulary, hidden: width } = runner.config
          const own = second.logits!.data.subarray(row * vocabulary, (row + 1) * vocabulary)
          expect(differingBits(own, whole.logits)).toBe(0)
          const between = hidden.subarray(row * width, (row + 1) * width)
          expect(differingBits(between, whole.states.subarray(cut * width, (cut + 1) * width))).toBe(0)
        }
        // The cache that two spans filled is the one that whole passes fill.
        const next = [tokens[3]!]
        const other = runner.openCache()
        await runRows(runner, other, tokens)
        expect(differences("next", await runRows(runner, other, next), await runRows(runner, cache, next))).toEqual([])
      }
    // By now the runner holds the steerable graph: whole passes through it are those of the plain one.
    const steerable = await runRows(runner, runner.openCache(), tokens)
    expect(differences("steerable", plain, steerable)).toEqual([])
    await runner.dispose()
  })
})

describe.each(oneFormatEach)("$name", (one) => {
  const tokens = randomTokens(length, one.model.vocabulary, one.model.seed)

  test("one thread and two", async () => {
    const [single, double] = [await openCase(one, 1), await openCase(one, 2)]
    const found = await runRows(double, double.openCache(), tokens)
    expect(differences("threads", await oneByOne(single, single.openCache(), tokens), found)).toEqual([])
    await single.dispose()
    await double.dispose()
  })

  test("an all-seeing matrix or tree is the causal mask; logits of chosen rows and top-k are those of all rows", async () => {
    const runner = await openCase(one)
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, 130))
    const draft = tokens.slice(130, 142)
    const causal = await runRows(runner, cache, draft, { keep: [] })
    const data = new Uint8Array(12 * 142)
    for (const row of range(12)) data.fill(1, row * 142, row * 142 + 131 + row)
    const matrix = await runRows(runner, cache, draft, { keep: [], mask: { rows: 12, columns: 142, data } })
    expect(differences("matrix", causal, matrix)).toEqual([])
    const chain = { parents: Int32Array.from(range(12, -1)) }
    expect(differences("chain", causal, await runRows(runner, cache, draft, { keep: [], mask: chain }))).toEqual([])

    const input = { tokens: Int32Array.from(draft) }
    const { vocabulary } = runner.config
    const picked = await runner.forward({ input, cache, want: { logits: [9, 2, 2] } })
    for (const [i, row] of [9, 2, 2].entries()) {
      const own = picked.logits!.data.subarray(i * vocabulary, (i + 1) * vocabulary)
      expect(differingBits(own, causal[row]!.logits)).toBe(0)
    }
    const { top } = await runner.forward({ input, cache, want: { logits: "all", top: 5 } })
    for (const row of range(12)) {
      const sorted = Array.from(causal[row]!.logits).sort((a, b) => b - a)
      expect(Array.from(top!.values.subarray(row * 5, row * 5 + 5))).toEqual(sorted.slice(0, 5))
      expect(top!.logMasses[row]).toBeCloseTo(logSumExp64(sorted), 4)
      for (let i = row * 5; i < row * 5 + 5; i++) expect(causal[row]!.logits[top!.ids[i]!]).toBe(top!.values[i])
    }
    await runner.dispose()
  })
})
