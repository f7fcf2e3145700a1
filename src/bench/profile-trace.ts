/** Reads onnxruntime's profile (a chrome trace): operator times of each run, without the time of operators inside. */
import { ForerunError } from "../base/errors.ts"

export interface TraceEvent {
  readonly cat?: string
  readonly name?: string
  /** Microseconds, whole. */
  readonly ts?: number
  readonly dur?: number
  readonly args?: { readonly op_name?: string }
}

export interface RunProfile {
  /** Milliseconds of the whole run. */
  readonly milliseconds: number
  readonly nodes: number
  readonly operators: ReadonlyMap<string, { readonly milliseconds: number; readonly calls: number }>
}

const matrixProducts = new Set([
  "MatMul",
  "FusedMatMul",
  "MatMulNBits",
  "MatMulInteger",
  "MatMulIntegerToFloat",
  "DynamicQuantizeMatMul",
  "QLinearMatMul",
  "Gemm",
])
export const isMatrixProduct = (operator: string): boolean => matrixProducts.has(operator)

/** The runs of a trace, in order. @throws E_RUNTIME when it is not one of onnxruntime's */
export function readTrace(text: string): RunProfile[] {
  let events: TraceEvent[]
  try {
    events = JSON.parse(text)
  } catch (cause) {
    throw new ForerunError("E_RUNTIME", "the profile that onnxruntime wrote is not JSON", { cause })
  }
  const nodes = events.filter(({ cat, name }) => cat === "Node" && name?.endsWith("_kernel_time"))
  nodes.sort((a, b) => a.ts! - b.ts! || b.dur! - a.dur!)
  const runs = events.filter(({ cat, name }) => cat === "Session" && name === "model_run")
  runs.sort((a, b) => a.ts! - b.ts!)
  let next = 0
  return runs.map((run) => {
    const end = run.ts! + run.dur!
    const inside: TraceEvent[] = []
    while (next < nodes.length && nodes[next]!.ts! < run.ts!) next++
    while (next < nodes.length && nodes[next]!.ts! < end) inside.push(nodes[next++]!)
    return { milliseconds: run.dur! / 1000, nodes: inside.length, operators: sumByOperator(inside) }
  })
}

/** An `If` contains the operators of its branch: each microsecond is counted where it was spent, and once. */
function sumByOperator(events: readonly TraceEvent[]): RunProfile["operators"] {
  const own = events.map(({ dur }) => dur! + 0.5) // durations are cut to whole microseconds
  const open: number[] = []
  for (const [index, event] of events.entries()) {
    while (open.length > 0 && endOf(events[open.at(-1)!]!) <= event.ts!) open.pop()
    const outer = open.at(-1)
    if (outer !== undefined) own[outer] = own[outer]! - (event.dur! + 0.5)
    open.push(index)
  }
  const sums = new Map<string, { milliseconds: number; calls: number }>()
  for (const [index, { args }] of events.entries()) {
    const operator = args?.op_name ?? "unknown"
    const sum = sums.get(operator) ?? { milliseconds: 0, calls: 0 }
    sums.set(operator, { milliseconds: sum.milliseconds + Math.max(0, own[index]!) / 1000, calls: sum.calls + 1 })
  }
  return sums
}

const endOf = ({ ts, dur }: TraceEvent) => ts! + dur!
