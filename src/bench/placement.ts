/** Where a round's time goes when one device drafts and another verifies, and which budget and depth would pay there. */
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { fitVerifyCost, type RoundTimes, serialRound, type VerifyCost } from "../methods/dovetail/cost-model.ts"
import { loadContinuation } from "../methods/index.ts"
import type { WeightFormat } from "../models/formats.ts"
import type { Device, Placement } from "../runtime/devices.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { defaultPrompts, promptInput } from "./prompts.ts"
import { summary } from "./run-bench.ts"
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
  /** Milliseconds: of plain decoding a token, of a verification, and of a drafter's pass with its way there and back. */
  readonly costs: {
    readonly plain: number
    readonly verify: VerifyCost
    readonly draftPass: number
    readonly transferPass: number
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
const sizes = [1, 2, 3, 5, 7, 11, 15]
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
  if (table.overlap)
    settings.push(...settings.filter(({ depth }) => depth <= 3).map((one) => ({ ...one, overlap: true })))
  const model = await (given.openModel ?? (() => open(given)))()
  try {
    const plain: GenerateResult[][] = prompts.map(() => [])
    const found = settings.map((): GenerateResult[][] => prompts.map(() => []))
    const total = repetitions * prompts.length
    for (let turn = 0; turn <= repetitions; turn++)
      for (const [at, prompt] of (turn === 0 ? prompts.slice(0, 1) : prompts).entries()) {
        const ask = (more: object) =>
          model.generate(promptInput(prompt), { maxTokens, temperature: 0, ...more, ...(signal ? { signal } : {}) })
        const keep = (results: GenerateResult[][], result: GenerateResult) => {
          signal?.throwIfAborted()
          if (turn > 0) results[at]!.push(result) // the first turn warms up
        }
        keep(plain, await ask({}))
        for (const [i, setting] of settings.entries())
          keep(found[i]!, await ask({ method, options: { size: "fixed", ...setting } }))
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
      ...judge({ plain, found, settings, verify, ratios }),
    }
  } finally {
    await model.dispose()
  }
}

function open({ model, weights, part, threads, device, offline, signal }: PlacementOptions): Promise<Model> {
  const given = { weights, part, threads, device, offline, signal }
  return loadModel(model, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)))
}

interface Measured {
  readonly plain: readonly (readonly GenerateResult[])[]
  /** By setting, prompt and repetition. */
  readonly found: readonly (readonly (readonly GenerateResult[])[])[]
  readonly settings: readonly Setting[]
  readonly verify: VerifyCost
  readonly ratios: readonly number[]
}

/** From measured answers to what the cost model says of them. Pure. */
export function judge({ plain, found, settings, verify, ratios }: Measured) {
  /** Medians over repetitions, summed over prompts. */
  const sum = (results: Measured["plain"], value: (one: GenerateResult) => number) =>
    results.reduce((all, each) => all + median(each.map(value)), 0)
  const decoded = ({ tokens }: GenerateResult) => Math.max(0, tokens.length - 1)
  const plainMs = sum(plain, ({ timings }) => timings.decodeMs) / sum(plain, decoded)
  const measured = found.map((results) => {
    const rounds = sum(results, ({ speculation }) => speculation?.rounds ?? 0)
    const each = (value: (one: GenerateResult) => number) => sum(results, value) / Math.max(1, rounds)
    const [draft, transfer, whole] = [
      each(({ timings }) => timings.draftMs ?? 0),
      each(({ timings }) => timings.transferMs ?? 0),
      each(({ timings }) => timings.decodeMs),
    ]
    const target = each(({ timings }) => timings.targetMs ?? 0)
    const tokens = each(decoded)
    return {
      ...{ tokens, passes: each(({ passes }) => passes.draft) },
      rows: 1 + each(({ speculation }) => speculation?.drafted ?? 0),
      phases: { draft, transfer, verify: target, rest: whole - draft - transfer - target },
      speedup: (tokens * plainMs) / whole,
    }
  })
  const serial = measured.filter((_, i) => !settings[i]!.overlap)
  const perPass = (phase: "draft" | "transfer") => median(serial.map(({ phases, passes }) => phases[phase] / passes))
  const [draftPass, transferPass, rest] = [
    perPass("draft"),
    perPass("transfer"),
    median(serial.map(({ phases }) => phases.rest)),
  ]
  // A line through all sizes is a little off at one row, which plain decoding is timed at.
  const plainPass = verify.base + verify.row
  const speed = ({ tokens, passes, rows }: (typeof measured)[number], ratio: number) => {
    const times = {
      draft: (passes * draftPass) / ratio,
      transfer: passes * transferPass,
      verify: (verify.base + verify.row * rows) * (plainMs / plainPass),
    }
    return (tokens * plainMs) / (serialRound(times) + rest)
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
  return { costs: { plain: plainMs, verify, draftPass, transferPass, rest }, grid, choices }
}
