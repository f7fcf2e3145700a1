/** Where a round's time goes when one device drafts and another verifies, and which budget and depth would pay there. */
import { ForerunError } from "../base/errors.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { fitVerifyCost, type RoundTimes, serialRound, type VerifyCost } from "../methods/dovetail/cost-model.ts"
import { loadContinuation } from "../methods/index.ts"
import type { WeightFormat } from "../models/formats.ts"
import { relativeCost } from "../runtime/cost-curve.ts"
import type { Device, Placement } from "../runtime/devices.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { defaultPrompts, promptInput } from "./prompts.ts"
import { openModel, summary } from "./run-bench.ts"
import { median } from "./statistics.ts"
import type { BenchProgress, BenchPrompt, ModelSummary } from "./types.ts"

export interface PlacementOptions {
  /** One that drafts with trained weights and takes `nodes`, `depth` and `size`. */
  readonly method: string
  readonly model?: string
  readonly weights?: WeightFormat
  readonly part?: string
  readonly threads?: number
  readonly device?: Partial<Placement>
  readonly prompts?: readonly BenchPrompt[]
  /** New tokens a prompt, default 64. */
  readonly maxTokens?: number
  /** Default 3; medians are reported. */
  readonly repetitions?: number
  /** How many times faster the draft's device is than the one that is here; default 1, 2, 4, 8, 16. */
  readonly ratios?: readonly number[]
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: () => Promise<Model>
}

export interface PlacementRow {
  readonly depth: number
  /** Drafted tokens of a verification at most. */
  readonly nodes: number
  /** Tokens and drafter's passes a round, and rows of a verification. */
  readonly tokens: number
  readonly passes: number
  readonly rows: number
  /** Milliseconds a round: phases, and what is neither. */
  readonly phases: RoundTimes & { readonly rest: number }
  /** Decoding beside plain decoding of the same prompts. */
  readonly speedup: number
  /** The same by the cost model, from this row's tokens and the whole grid's times. */
  readonly predicted: number
  /** The same method with overlap, where it has that. */
  readonly overlapped?: number
}

export interface PlacementResult extends Source {
  readonly kind: "placement"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly method: string
  readonly weights: WeightFormat
  readonly threads: number
  readonly device: Device
  readonly prompts: number
  readonly repetitions: number
  readonly maxTokens: number
  /** Milliseconds: of plain decoding a token, a verification, a drafter's pass, and a round's way there and back. */
  readonly costs: {
    readonly plain: number
    readonly verify: VerifyCost
    readonly draftPass: number
    readonly transfer: number
    readonly rest: number
  }
  readonly grid: readonly PlacementRow[]
  readonly choices: readonly PlacementChoice[]
}

/** What the cost model would choose for a device ratio. Rows 1: drafting does not pay. */
export interface PlacementChoice {
  readonly ratio: number
  readonly depth: number
  readonly rows: number
  readonly speedup: number
}

const depths = [1, 2, 3, 5]
const sizes = [1, 2, 3, 5, 7, 15]
const defaults = { maxTokens: 64, repetitions: 3, ratios: [1, 2, 4, 8, 16] }

interface Setting {
  readonly depth: number
  readonly nodes: number
  readonly overlap?: boolean
}

/** @throws E_OPTION for a method that takes no such budget; E_ABORTED, and what loading and generating throw */
export async function measurePlacement(given: PlacementOptions): Promise<PlacementResult> {
  const { method, signal, onProgress, prompts = defaultPrompts } = given
  const { maxTokens, repetitions, ratios } = { ...defaults, ...given }
  const { options: table, part } = await loadContinuation(method)
  if (!part || !table.nodes || !table.depth || !table.size)
    throw new ForerunError("E_OPTION", `${method} drafts no trees of a given size with trained weights of its own`)
  const settings: Setting[] = depths.flatMap((depth) =>
    sizes.filter((nodes) => nodes >= depth).map((nodes) => ({ depth, nodes })),
  )
  // Where drafts are short, a guess that all of one is accepted has a chance.
  const short = settings.filter(({ depth, nodes }) => depth <= 3 && nodes <= 5)
  if (table.overlap) settings.push(...short.map((one) => ({ ...one, overlap: true })))
  const model = await (given.openModel ?? (() => openModel(given)))()
  try {
    const pairs = settings.map((): Pair[][] => prompts.map(() => []))
    const total = repetitions * prompts.length
    for (let turn = 0; turn <= repetitions; turn++)
      for (const [at, prompt] of (turn === 0 ? prompts.slice(0, 1) : prompts).entries()) {
        const ask = (more: object) =>
          model.generate(promptInput(prompt), { maxTokens, temperature: 0, ...more, ...(signal ? { signal } : {}) })
        for (const [i, setting] of settings.entries()) {
          // A machine's speed changes from minute to minute: plain decoding stands right beside each setting.
          const pair = { plain: await ask({}), ours: await ask({ method, options: { size: "fixed", ...setting } }) }
          signal?.throwIfAborted()
          if (turn > 0) pairs[i]![at]!.push(pair) // the first turn warms up
        }
        if (turn > 0) onProgress?.({ stage: "placement", done: (turn - 1) * prompts.length + at + 1, total })
      }
    const curve = await model.costCurve({ fresh: true, ...(signal ? { signal } : {}) })
    const points = curve.rows.map((rows, i) => ({ rows, milliseconds: curve.milliseconds[i]! }))
    const verify = fitVerifyCost(points.filter(({ rows }) => rows <= 16))
    const { weights, threads, draftDevice } = model.info
    return {
      kind: "placement",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(model.info),
      ...{ method, weights, threads, device: draftDevice, prompts: prompts.length, repetitions, maxTokens },
      ...judge({ pairs, settings, verify, cost: (rows) => relativeCost(curve, rows), ratios }),
    }
  } finally {
    await model.dispose()
  }
}

/** The same prompt by both, one right after the other. */
export interface Pair {
  readonly plain: GenerateResult
  readonly ours: GenerateResult
}

interface Measured {
  /** By setting, prompt and repetition. */
  readonly pairs: readonly (readonly (readonly Pair[])[])[]
  readonly settings: readonly Setting[]
  /** The line through what verifications cost, for other sizes; and what they do cost, in passes of one row. */
  readonly verify: VerifyCost
  readonly cost: (rows: number) => number
  readonly ratios: readonly number[]
}

const decoded = ({ tokens }: GenerateResult): number => Math.max(0, tokens.length - 1)
const plainPass = ({ plain }: Pair): number => plain.timings.decodeMs / decoded(plain)

/** From measured answers to what the cost model says of them. Times are compared within their pair. Pure. */
export function judge({ pairs, settings, verify, cost, ratios }: Measured) {
  const plain = median(pairs.flat(2).map(plainPass))
  const measured = pairs.map((byPrompt) => {
    /** Medians over repetitions, summed over prompts. */
    const sum = (value: (pair: Pair) => number) => byPrompt.reduce((all, each) => all + median(each.map(value)), 0)
    const rounds = sum(({ ours }) => ours.speculation?.rounds ?? 0)
    const each = (value: (one: GenerateResult) => number) => sum(({ ours }) => value(ours)) / Math.max(1, rounds)
    /** As if plain decoding had always taken its median time. */
    const time = (value: (one: GenerateResult) => number) =>
      (sum((pair) => value(pair.ours) / plainPass(pair)) / Math.max(1, rounds)) * plain
    const [draft, transfer, target, whole] = [
      time(({ timings }) => timings.draftMs ?? 0),
      time(({ timings }) => timings.transferMs ?? 0),
      time(({ timings }) => timings.targetMs ?? 0),
      time(({ timings }) => timings.decodeMs),
    ]
    const tokens = each(decoded)
    return {
      ...{ tokens, passes: each(({ passes }) => passes.draft) },
      rows: 1 + each(({ speculation }) => speculation?.drafted ?? 0),
      phases: { draft, transfer, verify: target, rest: whole - draft - transfer - target },
      speedup: (tokens * plain) / whole,
    }
  })
  const serial = measured.filter((_, i) => !settings[i]!.overlap)
  const [draftPass, transfer, rest] = [
    median(serial.map(({ phases, passes }) => phases.draft / passes)),
    median(serial.map(({ phases }) => phases.transfer)),
    median(serial.map(({ phases }) => phases.rest)),
  ]
  const speed = ({ tokens, passes, rows }: (typeof measured)[number], ratio: number) => {
    const times = {
      draft: (passes * draftPass) / ratio,
      transfer,
      // Not by the line: what rows cost rises in steps, and the first is cheaper than any line has it.
      verify: cost(rows) * plain,
    }
    return (tokens * plain) / (serialRound(times) + rest)
  }
  const grid = settings.flatMap((setting, i): PlacementRow[] => {
    if (setting.overlap) return []
    const { depth, nodes } = setting
    const along = settings.findIndex((one) => one.overlap && one.depth === depth && one.nodes === nodes)
    return [
      {
        ...{ depth, nodes, ...measured[i]!, predicted: speed(measured[i]!, 1) },
        ...(along < 0 ? {} : { overlapped: measured[along]!.speedup }),
      },
    ]
  })
  const choices = ratios.map((ratio): PlacementChoice => {
    const best = grid.reduce((a, b) => (speed(b, ratio) > speed(a, ratio) ? b : a))
    const speedup = speed(best, ratio)
    return speedup > 1
      ? { ratio, depth: best.depth, rows: 1 + best.nodes, speedup }
      : { ratio, depth: 0, rows: 1, speedup: 1 }
  })
  return { costs: { plain, verify, draftPass, transfer, rest }, grid, choices }
}
