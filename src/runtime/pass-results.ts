/** What comes out of a pass: cut for each of its members, joined over consecutive chunks. */
import { ForerunError } from "../base/errors.ts"
import { blockSize } from "../models/builder.ts"
import { concatenate } from "../tensor/concatenate.ts"
import type { NewRows } from "./kv-cache.ts"
import type { ForwardResult, Matrix, TopLogits } from "./pass.ts"
import type { Resolved } from "./resolve-pass.ts"
import type { HostTensor } from "./session.ts"

/** A pass that ran, with the rows that may be kept. */
export interface Ran {
  readonly result: Omit<ForwardResult, "keep">
  readonly added: NewRows
}

/** The outputs to ask for. */
export function fetchesOf(requests: readonly Resolved[]): string[] {
  const fetches = ["keys", "values"]
  const withLogits = requests.find(({ logitRows }) => logitRows.length > 0)
  if (withLogits) fetches.push(...(withLogits.top > 0 ? ["topValues", "topIndices", "topLogMass"] : ["logits"]))
  if (requests.some(wantsInner)) fetches.push("hidden")
  if (requests.some(({ hidden }) => hidden.includes("final"))) fetches.push("final")
  return fetches
}

export const wantsInner = ({ hidden }: Resolved): boolean => hidden.some((layer) => layer !== "final")

/** Each member's part of a pass's outputs, as views. */
export function resultsOf(
  requests: readonly Resolved[],
  out: Readonly<Record<string, HostTensor>>,
  {
    hidden: width,
    vocabulary,
    kvHeads,
    headSize,
  }: { hidden: number; vocabulary: number; kvHeads: number; headSize: number },
): Ran[] {
  const float = (name: string) => out[name]!.data as Float32Array
  const stride = requests.reduce((sum, { rows }) => sum + rows, 0)
  let [first, firstLogits] = [0, 0]
  return requests.map(({ rows, hidden, logitRows, top, positions, layers }) => {
    const states = new Map<number | "final", Matrix>()
    for (const layer of hidden) {
      const from = ((layer === "final" ? 0 : layer * stride) + first) * width
      const data = float(layer === "final" ? "final" : "hidden").subarray(from, from + rows * width)
      states.set(layer, { data, rows, columns: width })
    }
    const cut = (name: string, columns: number) =>
      float(name).subarray(firstLogits * columns, (firstLogits + logitRows.length) * columns)
    const at = first * kvHeads * headSize
    const ran: Ran = {
      result: {
        hidden: states,
        ...(logitRows.length === 0
          ? {}
          : top === 0
            ? { logits: { data: cut("logits", vocabulary), rows: logitRows.length, columns: vocabulary } }
            : { top: topOf(out, firstLogits, logitRows.length, top) }),
      },
      added: { keys: float("keys").subarray(at), values: float("values").subarray(at), stride, positions, layers },
    }
    first += rows
    firstLogits += logitRows.length
    return ran
  })
}

function topOf(out: Readonly<Record<string, HostTensor>>, first: number, rows: number, top: number): TopLogits {
  const ids = (out.topIndices!.data as BigInt64Array).subarray(first * top, (first + rows) * top)
  const values = (out.topValues!.data as Float32Array).subarray(first * top, (first + rows) * top)
  const logMasses = (out.topLogMass!.data as Float32Array).subarray(first, first + rows)
  return { values, ids: Int32Array.from(ids, Number), logMasses, rows, top }
}

/** `append`, which may be called once, with rows of the pass. */
export function once(append: (rows: readonly number[]) => void, count: number): ForwardResult["keep"] {
  let used = false
  return (rows) => {
    if (used) throw new ForerunError("E_INPUT", "keep was called twice for one pass")
    for (const row of rows)
      if (!Number.isInteger(row) || row < 0 || row >= count)
        throw new ForerunError("E_INPUT", `keep row ${row} of ${count}`)
    used = true
    append(rows)
  }
}

/** A causal run of rows that crosses the end of a block, cut there: each part in turn, on a scratch copy of the cache. */
export async function inChunks(
  request: Resolved,
  width: number,
  run: (part: Resolved) => Promise<Ran>,
): Promise<ForwardResult> {
  const { rows, cache, logitRows } = request
  const scratch = cache.fork()
  const parts: { start: number; ran: Ran }[] = []
  try {
    for (let start = 0, size = blockSize - (request.past % blockSize); start < rows; start += size, size = blockSize) {
      const end = Math.min(rows, start + size)
      const inside = (row: number) => row >= start && row < end
      const ran = await run({
        ...request,
        input: "tokens" in request.input ? { tokens: request.input.tokens.subarray(start, end) } : request.input,
        values: request.values?.subarray(start * width, end * width),
        rows: end - start,
        cache: scratch,
        past: request.past + start,
        positions: request.positions.subarray(start, end),
        logitRows: logitRows.filter(inside).map((row) => row - start),
      })
      scratch.append(
        Array.from({ length: end - start }, (_, row) => row),
        ran.added,
      )
      parts.push({ start, ran })
    }
  } finally {
    scratch.dispose()
  }
  return {
    ...join(parts.map(({ ran }) => ran.result)),
    keep: once((chosen) => {
      for (const { start, ran } of parts) {
        const count = ran.added.positions.length
        const local = chosen.filter((row) => row >= start && row < start + count).map((row) => row - start)
        cache.append(local, ran.added)
      }
    }, rows),
  }
}

/** Results of consecutive chunks as one. */
function join(results: readonly Ran["result"][]): Ran["result"] {
  const stack = (parts: (Matrix | undefined)[]): Matrix | undefined => {
    const present = parts.filter((part) => part !== undefined)
    if (present.length === 0) return undefined
    const data = concatenate(
      present.map((part) => part.data),
      Float32Array,
    )
    return { data, rows: present.reduce((sum, part) => sum + part.rows, 0), columns: present[0]!.columns }
  }
  const hidden = new Map<number | "final", Matrix>()
  for (const key of results[0]!.hidden.keys()) hidden.set(key, stack(results.map((result) => result.hidden.get(key)))!)
  const logits = stack(results.map((result) => result.logits))
  const tops = results.map((result) => result.top).filter((top) => top !== undefined)
  const top = tops[0] && {
    values: concatenate(
      tops.map((part) => part.values),
      Float32Array,
    ),
    ids: concatenate(
      tops.map((part) => part.ids),
      Int32Array,
    ),
    logMasses: concatenate(
      tops.map((part) => part.logMasses),
      Float32Array,
    ),
    rows: tops.reduce((sum, part) => sum + part.rows, 0),
    top: tops[0].top,
  }
  return { hidden, ...(logits ? { logits } : {}), ...(top ? { top } : {}) }
}
