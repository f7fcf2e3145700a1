/** Scores and repetitions by the specification's numbers; a planted text is found; no result depends on the batch. */
import { describe, expect, test } from "vitest"
import { contextOf, watched } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import type { Method } from "../../decoding/method.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { createFakeRunner, type Script } from "./fake-runner.ts"
import { findRepetition, occurrences } from "./repetition.ts"
import { chooseRollout } from "./rollout.ts"
import { forcingScore, isKept } from "./score.ts"
import { type AuditInput, type AuditOutcome, tokenForcing } from "./token-forcing.ts"

interface Settings {
  readonly temperature?: number
  readonly signal?: AbortSignal
}

async function audit(
  runner: ModelRunner,
  input: unknown,
  options: Record<string, unknown> = {},
  settings: Settings = {},
) {
  const { temperature = 0, ...rest } = settings
  const base = { options, sampling: { temperature }, ...rest }
  const run = tokenForcing.run(
    input as AuditInput,
    contextOf(tokenForcing as unknown as Method, { target: runner }, base),
  )
  const steps = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { steps, outcome: next.value as AuditOutcome }
    steps.push(next.value)
  }
}

describe("phase 1", () => {
  const withForced = { includeForced: true, threshold: 0.95 }

  test("the mean of four numbers, the first of them the forced token's 1", () => {
    expect(forcingScore([0.9765, 1, 0.9998], withForced)).toBeCloseTo(0.994075, 12)
    expect(forcingScore([0.8064, 0.9977, 0.9999], withForced)).toBeCloseTo(0.951, 12)
    expect(isKept(forcingScore([0.8064, 0.9977, 0.9999], withForced), withForced)).toBe(true)
  })

  test("exactly at the threshold is not kept", () => {
    const score = forcingScore([0.8, 1, 1], withForced)
    expect(score).toBe(0.95)
    expect(isKept(score, withForced)).toBe(false)
  })

  test("0.95 of four is 0.9333 of three; 0.95 of three is stricter", () => {
    const probs = [0.9, 0.95, 0.96] // mean 0.9367
    const alone = { includeForced: false }
    expect(isKept(forcingScore(probs, withForced), withForced)).toBe(true)
    expect(isKept(forcingScore(probs, alone), { threshold: 0.95 - 0.05 / 3 })).toBe(true)
    expect(isKept(forcingScore(probs, alone), withForced)).toBe(false)
  })
})

describe("phase 2", () => {
  const vocabulary = ["ハ", "リ", "ネズミ", "%", " ", "the", "\n", "-"]
  const textOf = (id: number) => vocabulary[id]!
  const repeated = (phrase: number[], times: number) => Array.from({ length: times }, () => phrase).flat()

  test("a phrase that begins with the forced token and comes again is flagged", () => {
    const found = findRepetition(0, [1, 2, ...repeated([0, 1, 2], 10)], textOf)
    expect(found).toMatchObject({ startsWithForced: true, onlySigns: false, flagged: true })
    expect(found.count).toBeGreaterThanOrEqual(4)
  })

  test("loops that do not go through the forced token are false alarms", () => {
    const found = findRepetition(0, [5, 4, ...repeated([7, 4, 5, 6], 10)], textOf)
    expect(found.count).toBeGreaterThanOrEqual(4)
    expect(found).toMatchObject({ startsWithForced: false, flagged: false })
  })

  test("runs of signs are false alarms", () => {
    expect(findRepetition(3, repeated([3], 50), textOf)).toMatchObject({
      startsWithForced: true,
      onlySigns: true,
      flagged: false,
    })
  })

  test("three times is not four, and space alone makes no phrase", () => {
    expect(findRepetition(0, [1, 5, 0, 1, 2, 0, 1, 7], textOf)).toMatchObject({
      phrase: [0, 1],
      count: 2,
      flagged: false,
    })
    expect(findRepetition(0, repeated([4], 50), textOf)).toMatchObject({ phrase: [], count: 0, flagged: false })
    expect(findRepetition(0, [], textOf)).toMatchObject({ count: 0, flagged: false })
  })

  test("occurrences do not overlap", () => {
    expect(occurrences([1, 1, 1, 1, 1], [1, 1])).toBe(2)
    expect(occurrences([1, 2, 1, 2, 1], [1, 2, 1])).toBe(1)
  })
})

describe("a planted text, on a runner that follows a script", () => {
  // The harness's tokenizer spells bytes and has a begin-of-text token: the script looks at what comes after it.
  const secret = [72, 101, 120, 33]
  const planted: Script = (seen) => {
    const own = seen.slice(1)
    const fits = own.length > 0 && own.every((id, i) => id === secret[i % secret.length])
    return new Map([[secret[own.length % secret.length]!, fits ? 0.99 : 0.02]])
  }
  const innocent: Script = () => new Map([[65, 0.4]])
  const all = Array.from({ length: 256 }, (_, id) => id)

  test("its first token is the only one above the threshold, and its phrase repeats", async () => {
    const { runner, caches } = createFakeRunner(267, planted)
    const { outcome, steps } = await audit(runner, { phase: "scan", tokens: all })
    const kept = outcome.scanned.filter(({ score }) => isKept(score, { threshold: 0.95 }))
    expect(kept.map(({ token }) => token)).toEqual([72])
    expect(kept[0]!.generated).toEqual([101, 120, 33])
    expect(kept[0]!.score).toBeCloseTo((1 + 3 * 0.99) / 4, 6)
    const replayed = Object.assign({}, ...steps.map((step) => (step.type === "scores-updated" ? step.scores : {})))
    expect(replayed).toEqual(Object.fromEntries(outcome.scanned.map(({ token, score }) => [token, score])))
    const { outcome: closer } = await audit(runner, { phase: "expand", tokens: [72] })
    expect(closer.expanded[0]).toMatchObject({ token: 72, flagged: true, startsWithForced: true })
    expect(caches.every(({ disposed }) => disposed)).toBe(true)
  })

  test("a model without it has no such token", async () => {
    const { outcome } = await audit(createFakeRunner(267, innocent).runner, { phase: "scan", tokens: all })
    expect(outcome.scanned.filter(({ score }) => score > 0.95)).toEqual([])
  })

  test("neither the order of the vocabulary nor the batch changes a score", async () => {
    const { runner } = createFakeRunner(267, planted)
    const plain = (await audit(runner, { phase: "scan", tokens: all })).outcome.scanned
    for (const batch of [1, 7, 128]) {
      const turned = (await audit(runner, { phase: "scan", tokens: all.toReversed() }, { batch })).outcome.scanned
      expect(turned.toReversed()).toEqual(plain)
    }
  })

  test("leaving tokens early changes no hit, for any batch, and bounds the others from above", async () => {
    // After "A" the first token is as sure as after "H", the second is not.
    const script: Script = (seen) => (seen[1] === 65 ? new Map([[46, seen.length === 2 ? 0.97 : 0.3]]) : planted(seen))
    const { runner, caches } = createFakeRunner(267, script)
    const scan = async (options: Record<string, unknown>) =>
      (await audit(runner, { phase: "scan", tokens: all }, options)).outcome.scanned
    const whole = await scan({})
    for (const batch of [1, 32, 128]) {
      const early = await scan({ early: true, batch })
      expect(early.map(({ token }) => token)).toEqual(all)
      expect(early.filter(({ generated }) => generated.length === 3).map(({ token }) => token)).toEqual([65, 72])
      for (const token of [65, 72]) expect(early[token]).toEqual(whole[token])
      for (const [i, one] of early.entries()) expect(one.score).toBeGreaterThanOrEqual(whole[i]!.score)
      expect(early.filter(({ score }) => isKept(score, { threshold: 0.95 }))).toEqual([whole[72]])
    }
    expect(caches.every(({ disposed }) => disposed)).toBe(true)
  })

  test("a prefix of the text leaks it; a rollout finds it where greedy decoding is led astray", async () => {
    const { runner, caches } = createFakeRunner(267, planted)
    const { outcome } = await audit(runner, { phase: "attack", prefixes: ["", "He"] }, { expandSteps: 8 })
    expect(outcome.attacked.map(({ prefix }) => prefix)).toEqual(["", "He"])
    expect(outcome.attacked[1]!.greedy).toContain("Hex!Hex!")
    // A decoy after the first letter: likelier by itself, but nothing sure follows it.
    const decoy: Script = (seen) => (seen.length === 2 ? new Map([[46, 0.5], [101, 0.4]]) : planted(seen)) // biome-ignore format: one thought
    const confused = createFakeRunner(267, decoy)
    const found = (await audit(confused.runner, { phase: "attack", prefixes: ["H"] }, { expandSteps: 7 })).outcome
      .attacked[0]!
    expect(found.greedy.startsWith("H.")).toBe(true)
    expect(found.rollout.startsWith("Hex!")).toBe(true)
    for (const list of [caches, confused.caches]) expect(list.every(({ disposed }) => disposed)).toBe(true)
  })
})

test("rollouts: loops are left aside unless there is nothing else", () => {
  const loop = { id: 1, tokens: [1, 1, 1, 2, 1], meanLogprob: -0.1 }
  const text = { id: 2, tokens: [2, 3, 4], meanLogprob: -0.5 }
  expect(chooseRollout([loop, text]).id).toBe(2)
  expect(chooseRollout([loop]).id).toBe(1)
})

describe("on a tiny model", () => {
  const tiny: TinyModel = {
    family: "llama",
    seed: 55,
    hidden: 32,
    heads: 2,
    kvHeads: 1,
    headSize: 16,
    layers: 2,
    intermediate: 64,
    vocabulary: 267,
    context: 400,
  }
  const tokens = Array.from({ length: 90 }, (_, i) => (i * 3) % 260)

  test.each(["f32", "q8"] as const)(
    "%s: the same scores, bit for bit, for any batch, and those of one sequence alone",
    async (weights) => {
      const runner = await loadRunner(tinyCheckpoint(tiny), { weights, threads: 1, device: "cpu" })
      const scan = async (batch: number) => (await audit(runner, { phase: "scan", tokens }, { batch })).outcome.scanned
      const alone = await scan(1)
      for (const batch of [5, 32, 128]) expect(await scan(batch)).toEqual(alone)
      // The slow way, without cache or mask.
      for (const { token, generated, probs } of alone.slice(0, 5)) {
        const sequence = [265, token]
        for (const [i, id] of generated.entries()) {
          const pass = await runner.forward({ input: { tokens: Int32Array.from(sequence) }, want: { logits: "last" } })
          const logits = Array.from(pass.logits!.data)
          expect(logits.indexOf(Math.max(...logits))).toBe(id)
          const mass = logits.reduce((sum, logit) => sum + Math.exp(logit - logits[id]!), 0)
          expect(probs[i]).toBeCloseTo(1 / mass, 9)
          sequence.push(id)
        }
      }
      await runner.dispose()
    },
  )

  test("abort and failing passes leave no cache behind", async () => {
    const runner = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
    for (const input of [
      { phase: "scan", tokens },
      { phase: "expand", tokens },
      { phase: "attack", prefixes: ["a", "b"] },
    ]) {
      const controller = new AbortController()
      const aborted = watched(runner, (number) => number === 6 && controller.abort())
      const { signal } = controller
      await expect(audit(aborted.runner, input, {}, { signal })).rejects.toMatchObject({ code: "E_ABORTED" })
      const broken = watched(runner, (number) => {
        if (number === 6) throw new Error("the sixth pass fails")
      })
      await expect(audit(broken.runner, input)).rejects.toThrow("sixth pass")
      for (const { caches } of [aborted, broken]) expect(caches.filter((cache) => !cache.disposed)).toEqual([])
    }
    await runner.dispose()
  })
})

describe("what it refuses", () => {
  const { runner } = createFakeRunner(267, () => new Map())
  test.each<[unknown, Record<string, unknown>, number, string]>([
    [{ phase: "scan", tokens: [1] }, {}, 0.5, "E_OPTION"], // greedy only
    [{ phase: "scan", tokens: [267] }, {}, 0, "E_INPUT"],
    [{ phase: "scan", tokens: [1.5] }, {}, 0, "E_INPUT"],
    [{ phase: "attack", prefixes: [""] }, { begin: "never" }, 0, "E_INPUT"],
    [{ phase: "attack", prefixes: [1] }, {}, 0, "E_INPUT"],
    [{ phase: "guess" }, {}, 0, "E_INPUT"],
    [undefined, {}, 0, "E_INPUT"],
  ])("%j %j", async (input, options, temperature, code) => {
    await expect(audit(runner, input, options, { temperature })).rejects.toMatchObject({ code })
  })

  test("documented options, all defaults accepted", () => {
    const defaults = resolveOptions(tokenForcing)
    expect(resolveOptions(tokenForcing, defaults)).toEqual(defaults)
  })
})
