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
}

export interface PassRecord {
  readonly rows: number
  readonly layers: number
  readonly logitRows: number
  readonly bytes: number
  readonly milliseconds: number
}

export class Ledger {
  #totals = { passes: 0, rows: 0, layerRows: 0, logitRows: 0, bytes: 0, milliseconds: 0 }

  record(pass: PassRecord): void {
    const totals = this.#totals
    totals.passes++
    totals.rows += pass.rows
    totals.layerRows += pass.rows * pass.layers
    totals.logitRows += pass.logitRows
    totals.bytes += pass.bytes
    totals.milliseconds += pass.milliseconds
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
    }
  }
}
