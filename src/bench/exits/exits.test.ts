/** Early exits measured: what counts come to, how soon a change is followed, and a tiny model from end to end. */
import { describe, expect, test } from "vitest"
import { makeTinyFolder } from "../../../test/support/tiny-folder.ts"
import { contractModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { loadModel } from "../../generate/load.ts"
import { loadContinuation } from "../../methods/index.ts"
import { tinyTokenizerJson } from "../../text/test-sources.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import { adaptationPublished, judgeAdaptation } from "./adaptation.ts"
import { believedCosts, type ExitCosts, passTime } from "./exit-costs.ts"
import { adaptationTable, exitSweepTable, exitTaskTable, timedExitTable } from "./exit-tables.ts"
import { exitTrace } from "./exit-trace.ts"
import { measureExits } from "./measure-exits.ts"
import type { RecordedExits } from "./recorded-exits.ts"
import { countRounds } from "./sweep.ts"

/** A layer takes 1 ms, and half as much again for each further row; the head 8 ms; a pass by itself 0.5 ms. */
const costs: ExitCosts = {
  ...{ plain: 38, steerable: 38.5 },
  ...{ rows: [1, 3], layer: [1, 2], rest: [8.5, 8.5], bare: 0.5 },
  ...{ shadowRows: [1, 11], shadow: [9, 19] },
}

describe("counting", () => {
  test("what a pass takes: layers by rows, the head where it gave logits, shadow tokens by their rows", () => {
    const pass = { rows: 1, from: 0, to: 10, logitRows: 1 }
    expect(passTime(pass, costs)).toBeCloseTo(18.5, 9)
    expect(passTime({ ...pass, logitRows: 0 }, costs)).toBeCloseTo(10.5, 9)
    expect(passTime({ rows: 3, from: 10, to: 30, logitRows: 3 }, costs)).toBeCloseTo(48.5, 9)
    expect(passTime({ rows: 5, from: 10, to: 30, logitRows: 5 }, costs)).toBeCloseTo(68.5, 9) // beyond the last size
    expect(passTime({ rows: 6, from: 30, to: 30, logitRows: 6 }, costs)).toBeCloseTo(14, 9)
    expect(believedCosts(costs, 30).headCost).toBeCloseTo(8.5, 9)
    expect(believedCosts(costs, 30).cost(3)).toBeCloseTo(68.5 / 38.5, 9)
  })

  test("a round of K drafts from layer E is K · E + L layers, and the time of its passes", () => {
    const lower = { rows: 1, from: 0, to: 10 }
    const passes = [
      { ...lower, logitRows: 1 },
      { ...lower, logitRows: 1 },
      { ...lower, logitRows: 0 },
      { rows: 3, from: 10, to: 30, logitRows: 3 },
      { rows: 6, from: 30, to: 30, logitRows: 6 },
    ]
    const round = { tokens: 2, drafted: 2, exit: 10, passes }
    const plain = { tokens: 1, drafted: 0, exit: undefined, passes: [{ rows: 1, from: 0, to: 30, logitRows: 1 }] }
    const counted = countRounds(
      [
        { source: "a", rounds: [round] },
        { source: "b", rounds: [plain, plain] },
      ],
      { costs, layers: 30 },
    )
    expect(counted.map(({ task }) => task)).toEqual(["a", "b", "all"])
    expect(counted[0]!.layerSpeed).toBeCloseTo((2 * 30) / (2 * 10 + 30), 9)
    const whole = 18.5 + 18.5 + 10.5 + 48.5 + 14
    expect(counted[0]!.speed).toBeCloseTo((2 * 38) / whole, 9)
    expect(counted[0]!.shadowShare).toBeCloseTo(14 / whole, 9)
    expect(counted[1]).toMatchObject({ layerSpeed: 1, drafted: 0, shadowShare: 0 })
    expect(counted[2]!.layerSpeed).toBeCloseTo((4 * 30) / (50 + 60), 9)
  })
})

describe("a text that changes", () => {
  const [layers, length] = [16, 150]
  const exits = Array.from({ length: 15 }, (_, i) => i + 1)
  /** Answers where exits from `first` on are right in nine places of ten, lower ones in one of ten. */
  function record(first: number, seed: number): RecordedExits {
    const answer = Array.from({ length }, (_, i) => (i * 7 + seed) % 50)
    const rows = length
    const isRight = (exit: number, row: number) => (row * 31 + exit * 17 + seed * 7) % 10 < (exit >= first ? 9 : 1)
    const said = [...exits, layers].map((exit) => {
      const tokens = Int32Array.from({ length: rows }, (_, row) =>
        exit === layers || isRight(exit, row) ? answer[row]! : 99,
      )
      return [exit, { tokens, confidence: new Float32Array(rows).fill(0.5) }] as const
    })
    return { source: "test", answer, promptRows: 1, said: new Map(said) }
  }
  const settings = {
    config: { ...tinyCheckpoint(contractModel).config, layers, eosTokens: [] },
    tokenizer: createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() }),
  }
  const found = (first: number, second: number) => [
    { name: "easy", records: [record(first, 1), record(first, 2)] },
    { name: "hard", records: [record(second, 3), record(second, 4)] },
  ]

  test("the exit follows it, sooner with a shorter memory", async () => {
    const del = await loadContinuation("del")
    const { phases, rounds, delays } = await judgeAdaptation(found(3, 9), { del, near: 1, settings })
    expect(phases.map(({ best }) => best)).toEqual([3, 9])
    const mean = (phase: number) => {
      const list = rounds.filter((round) => round.phase === phase).map(({ exit }) => exit)
      const last = list.slice(-Math.ceil(list.length / 3))
      return last.reduce((sum, exit) => sum + exit, 0) / last.length
    }
    expect(mean(1) - mean(0)).toBeGreaterThan(4)
    const recorded = new Map(delays.map((delay) => [delay.omega, delay.recorded]))
    expect(recorded.get(0.8)).toBeGreaterThan(0)
    expect(recorded.get(0.95)!).toBeGreaterThan(recorded.get(0.8)!)
    expect(recorded.get(1) === -1 || recorded.get(1)! > recorded.get(0.95)!).toBe(true)
    for (const { recorded, simulated, simulatedHigh } of delays.filter(({ omega }) => omega < 1)) {
      expect(simulatedHigh).toBeGreaterThanOrEqual(simulated)
      expect(Math.abs(recorded - simulated)).toBeLessThan(15)
    }
  })

  test("del itself in the published simulation's world: as soon as published", async () => {
    const del = await loadContinuation("del")
    const delays = new Map<number, number[]>([0.8, 0.95, 1].map((omega) => [omega, []]))
    for (let seed = 0; seed < 5; seed++) {
      const found = await adaptationPublished({ del, settings, seeds: 1 }, seed)
      expect(found.phases.map(({ best }) => best)).toEqual([12, 21])
      for (const { omega, recorded } of found.delays)
        delays.get(omega)!.push(recorded < 0 ? Number.POSITIVE_INFINITY : recorded)
    }
    const middle = (omega: number) => delays.get(omega)!.sort((a, b) => a - b)[2]!
    expect(Math.abs(middle(0.95) - 22)).toBeLessThanOrEqual(6)
    expect(Math.abs(middle(0.8) - 5)).toBeLessThanOrEqual(3)
    expect(middle(1)).toBeGreaterThan(80)
    const { delays: simulated } = await adaptationPublished({ del, settings, seeds: 20 })
    const usual = simulated.find(({ omega }) => omega === 0.95)!
    expect(Math.abs(usual.simulated - 22)).toBeLessThanOrEqual(5)
    expect(Math.abs(usual.simulatedHigh - 29)).toBeLessThanOrEqual(7)
  }, 120_000)

  test("no change, nothing to follow", async () => {
    const del = await loadContinuation("del")
    const { delays } = await judgeAdaptation(found(3, 3), { del, near: 1, settings })
    for (const { recorded } of delays) expect(recorded).toBeLessThanOrEqual(2)
  })
})

test("a tiny model that nobody trained for it: every part of the report, and del says that it does not pay", async () => {
  const folder = makeTinyFolder({ layers: 4 })
  const open = () => loadModel(folder.path, { threads: 1, weights: "f32" })
  const prompts = ["one", "two"].map((category, id) => ({ id, category, prompt: { text: `say ${category}` } }))
  const record = await measureExits({ openModel: open, prompts, maxTokens: 24, repetitions: 1 })
  folder.remove()
  expect(record.agreement.map(({ exit }) => exit)).toEqual([1, 2, 3])
  const fixed = record.counted.filter(({ method, task }) => method === "self-speculative" && task === "all")
  expect(fixed).toHaveLength(3 * 6)
  for (const { layerSpeed, tokens, rounds } of fixed) {
    expect(layerSpeed).toBeGreaterThan(0)
    expect(tokens).toBeGreaterThanOrEqual(rounds)
  }
  const del = record.timed.find(({ method, options }) => method === "del" && Object.keys(options).length === 0)!
  expect(del.plainShare).toBeGreaterThan(0.5)
  expect(record.timed.find(({ options }) => options.costs === "layers")!.shadowShare).toBeGreaterThan(0)
  expect(exitSweepTable([record]).rows).toHaveLength(3)
  expect(exitTaskTable([record]).rows).toHaveLength(2 * 3)
  expect(timedExitTable([record]).rows.length).toBe(record.timed.length)
  expect(adaptationTable([record]).head).toHaveLength(5)
  expect(exitTrace(record).match(/<circle/g)).toHaveLength(
    record.adaptation.rounds.length + record.published.rounds.length,
  )
}, 120_000)
