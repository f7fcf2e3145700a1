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
  /** Beside `milliseconds`; default none. */
  readonly transfer?: number
}

/** Milliseconds of passes by their rows, the last ones of each size. */
export type SeenTimes = ReadonlyMap<number, readonly number[]>

/** Times that are kept of each size, and the largest size of which any are. */
const kept = 32
const mostRows = 128

export class Ledger {
  #totals = { passes: 0, rows: 0, layerRows: 0, logitRows: 0, bytes: 0, milliseconds: 0, transferMilliseconds: 0 }
  /** By layers, then by rows: of passes that gave all their logits, as decoding and verification do. */
  #times = new Map<number, Map<number, number[]>>()

  record(pass: PassRecord): void {
    const totals = this.#totals
    totals.passes++
    totals.rows += pass.rows
    totals.layerRows += pass.rows * pass.layers
    totals.logitRows += pass.logitRows
    totals.bytes += pass.bytes
    totals.milliseconds += pass.milliseconds
    totals.transferMilliseconds += pass.transfer ?? 0
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
