/** What passes through some of the layers cost on this machine, from passes of several depths and sizes. */
import type { Model, ModelCache, ModelPass } from "../../generate/model.ts"
import type { ReplayedPass } from "./recorded-target.ts"

/** Milliseconds. */
export interface ExitCosts {
  /** A plain step: one row through the graph that runs whole models only, and through the one that can leave early. */
  readonly plain: number
  readonly steerable: number
  /** Of a layer, and of what is no layer (head, norm, the pass itself), by rows: ascending, the first 1. */
  readonly rows: readonly number[]
  readonly layer: readonly number[]
  readonly rest: readonly number[]
  /** What is left of `rest` for one row without the head. */
  readonly bare: number
  /** The head alone over so many states, as shadow tokens take it. */
  readonly shadowRows: readonly number[]
  readonly shadow: readonly number[]
}

const sizes = [1, 2, 3, 5, 9]
const shadowSizes = [1, 10, 20, 40, 80]
const contextTokens = 64
/** Each pass is short, and the least of a few times still too large: a line through such times would not add up. */
const leastTurns = 15

interface CostOptions {
  readonly repetitions: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * @param plain a model of its own that has never left early: once one has, its graph is the slower one
 * @throws what passes throw
 */
export async function measureExitCosts(model: Model, plain: Model, options: CostOptions): Promise<ExitCosts> {
  const { layers, hidden, vocabulary } = model.info.config
  const tokens = (count: number) => Int32Array.from({ length: count }, (_, i) => (i * 7919) % vocabulary)
  const states = (rows: number) => Float32Array.from({ length: rows * hidden }, (_, i) => Math.sin(i))
  const depths = [...new Set([1 / 3, 2 / 3, 1].map((share) => Math.max(1, Math.round(layers * share))))]
  const upper = (rows: number, depth: number): ModelPass => ({
    input: { hidden: states(rows) },
    layers: [layers - depth, layers],
    want: { logits: "all" },
  })
  const wanted: { readonly of: Model; readonly pass: ModelPass }[] = [
    { of: plain, pass: { input: { tokens: tokens(1) }, want: { logits: "all" } } },
    { of: model, pass: { input: { tokens: tokens(1) }, want: { logits: "all" } } },
    ...depths.map((depth) => ({ of: model, pass: lower(tokens(1), depth) })),
    ...sizes.flatMap((rows) => depths.map((depth) => ({ of: model, pass: upper(rows, depth) }))),
    ...shadowSizes.map((rows) => ({
      of: model,
      pass: { ...upper(rows, 0), want: { logits: "all", top: 1 } } satisfies ModelPass,
    })),
  ]
  const times = await timed(wanted, [plain, model], tokens(contextTokens), options)
  const take = (count: number) => times.splice(0, count)
  const [plainMs, steerableMs] = take(2) as [number, number]
  const bare = fit(depths, take(depths.length)).rest
  const fits = sizes.map(() => fit(depths, take(depths.length)))
  return {
    plain: plainMs,
    steerable: steerableMs,
    rows: sizes,
    layer: fits.map(({ layer }) => layer),
    rest: fits.map(({ rest }) => rest),
    bare,
    shadowRows: shadowSizes,
    shadow: times,
  }
}

const lower = (tokens: Int32Array, depth: number): ModelPass => ({
  input: { tokens },
  layers: [0, depth],
  want: { logits: "none", hidden: [depth] },
})

/** Passes by turns, as the engine counts them: the least time of each. */
async function timed(
  wanted: readonly { readonly of: Model; readonly pass: ModelPass }[],
  models: readonly Model[],
  past: Int32Array,
  { repetitions, signal, onProgress }: CostOptions,
): Promise<number[]> {
  const caches = new Map<Model, ModelCache>()
  try {
    for (const model of models) {
      const cache = await model.openCache()
      caches.set(model, cache)
      const read = await model.forward({ input: { tokens: past }, cache, want: { logits: "none" } })
      await read.keep([...past.keys()])
    }
    const times = wanted.map((): number[] => [])
    const turns = Math.max(repetitions, leastTurns)
    for (let turn = 0; turn <= turns; turn++) {
      for (const [i, { of, pass }] of wanted.entries()) {
        signal?.throwIfAborted()
        const isHead = pass.layers?.[0] === of.info.config.layers // as shadow tokens: without a past
        const run = () => of.forward(isHead ? pass : { ...pass, cache: caches.get(of)! })
        await run() // the other model's weights may have pushed these out of the processor's cache
        const before = (await of.ledger()).milliseconds
        await run()
        const after = (await of.ledger()).milliseconds
        if (turn > 0) times[i]!.push(after - before) // the first turn warms up, and makes the graph that can leave early
      }
      onProgress?.(turn, turns)
    }
    return times.map((list) => Math.min(...list)) // whatever else runs can only add to a time
  } finally {
    for (const cache of caches.values()) await cache.dispose()
  }
}

/** The line through times by depth. */
function fit(depths: readonly number[], times: readonly number[]): { layer: number; rest: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [depth, time] = [mean(depths), mean(times)]
  const spread = mean(depths.map((one) => (one - depth) ** 2))
  const layer = spread === 0 ? time / depth : mean(depths.map((one, i) => (one - depth) * (times[i]! - time))) / spread
  return { layer, rest: Math.max(0, time - layer * depth) }
}

/** Milliseconds of a pass. */
export function passTime({ rows, from, to, logitRows }: ReplayedPass, costs: ExitCosts): number {
  const depth = to - from
  if (depth === 0) return interpolated(costs.shadowRows, costs.shadow, rows)
  const rest = logitRows > 0 ? interpolated(costs.rows, costs.rest, rows) : costs.bare
  return depth * interpolated(costs.rows, costs.layer, rows) + rest
}

/** Linear between sizes, and beyond the last. */
function interpolated(sizes: readonly number[], values: readonly number[], at: number): number {
  const found = sizes.findIndex((size) => size >= at)
  const upper = found < 0 ? sizes.length - 1 : Math.max(1, found)
  const [x0, x1] = [sizes[upper - 1]!, sizes[upper]!]
  const [y0, y1] = [values[upper - 1]!, values[upper]!]
  return y0 + ((y1 - y0) * (at - x0)) / (x1 - x0)
}

/** The head in layers, and rows beside one row: as methods are told them. */
export function believedCosts({ layer, rest, rows }: ExitCosts, layers: number) {
  const whole = (i: number) => layers * layer[i]! + rest[i]!
  const cost = (count: number) => {
    const time = interpolated(
      rows,
      rows.map((_, i) => whole(i)),
      count,
    )
    return Math.max(1, time / whole(0))
  }
  return { cost, headCost: rest[0]! / layer[0]! }
}
