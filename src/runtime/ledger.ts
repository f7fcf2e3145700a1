/** The record of what a model was asked to compute: counted where a pass happens, nowhere else. */

export interface LedgerTotals {
  readonly passes: number
  /** Rows that went through the layers. */
  readonly rows: number
  /** Rows times layers run. */
  readonly layerRows: number
  /** Rows whose logits were computed. */
  readonly logitRows: number
  /** Bytes copied out of the backend. */
  readonly bytes: number
  readonly milliseconds: number
  /** Milliseconds that rows and results were on the way to another device or process, beside the passes. */
  readonly transferMilliseconds: number
}

export interface PassRecord {
  readonly rows: number
  readonly layers: number
  readonly logitRows: number
  /** Sequences that shared the pass; default 1. */
  readonly members?: number
  readonly bytes: number
  readonly milliseconds: number
  /** When it ended, on this process's clock; default now. */
  readonly end?: number
  /** Milliseconds that data were on the way to another process, and back: beside `milliseconds`. Default none. */
  readonly way?: Way
}

export type Way = readonly [there: number, back: number]

/** When a pass ran, its data's way included, on the clock of this process. [milliseconds] */
export interface Span extends Required<Pick<PassRecord, "rows" | "layers" | "way">> {
  readonly begin: number
  readonly end: number
}

/** Milliseconds of passes by their rows, the last ones of each size. */
export type SeenTimes = ReadonlyMap<number, readonly number[]>

/** Times that are kept of each size, and the largest size of which any are. */
const kept = 32
const mostRows = 128
/** Passes whose place in time is known, at least: the last ones. */
const keptSpans = 4096

export class Ledger {
  #totals = { passes: 0, rows: 0, layerRows: 0, logitRows: 0, bytes: 0, milliseconds: 0, transferMilliseconds: 0 }
  /** By layers, then by rows: of passes that gave all their logits, as decoding and verification do. */
  #times = new Map<number, Map<number, number[]>>()

  #spans: Span[] = []

  /** Right after the pass. */
  record(pass: PassRecord): void {
    const totals = this.#totals
    const { rows, layers, way = [0, 0], end = performance.now() } = pass
    this.#spans.push({ begin: end - pass.milliseconds - way[0] - way[1], end, rows, layers, way })
    if (this.#spans.length > 2 * keptSpans) this.#spans = this.#spans.slice(-keptSpans)
    totals.passes++
    totals.rows += pass.rows
    totals.layerRows += pass.rows * pass.layers
    totals.logitRows += pass.logitRows
    totals.bytes += pass.bytes
    totals.milliseconds += pass.milliseconds
    totals.transferMilliseconds += way[0] + way[1]
    const { members = 1 } = pass
    if (members === 1 && pass.logitRows === pass.rows && pass.rows <= mostRows) this.#remember(pass)
  }

  /** Of passes through this many layers. */
  times(layers: number): SeenTimes {
    return this.#times.get(layers) ?? new Map()
  }

  /** How many layers the timed passes ran, ascending. */
  depths(): readonly number[] {
    return [...this.#times.keys()].sort((a, b) => a - b)
  }

  /** For when the graph is another from now on. */
  forgetTimes(): void {
    this.#times.clear()
  }

  #remember({ layers, rows, milliseconds }: PassRecord): void {
    const bySize = this.#times.get(layers) ?? new Map<number, number[]>()
    this.#times.set(layers, bySize)
    const times = bySize.get(rows) ?? []
    bySize.set(rows, times)
    times.push(milliseconds)
    if (times.length > kept) times.shift()
  }

  /** Of the passes that began since. */
  spansSince(time: number): readonly Span[] {
    return this.#spans.filter(({ begin }) => begin >= time)
  }

  totals(): LedgerTotals {
    return { ...this.#totals }
  }

  /** What was counted since `before` was taken. */
  since(before: LedgerTotals): LedgerTotals {
    const now = this.#totals
    return {
      passes: now.passes - before.passes,
      rows: now.rows - before.rows,
      layerRows: now.layerRows - before.layerRows,
      logitRows: now.logitRows - before.logitRows,
      bytes: now.bytes - before.bytes,
      milliseconds: now.milliseconds - before.milliseconds,
      transferMilliseconds: now.transferMilliseconds - before.transferMilliseconds,
    }
  }
}
