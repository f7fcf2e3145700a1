/** Reductions over rows of numbers, all in float64 whatever the row's type. */

import { ForerunError } from "../base/errors.ts"

export type FloatArray = Float32Array | Float64Array

/** Values in descending order with the indices they came from; both [k]. */
export interface Top {
  readonly ids: Int32Array
  readonly values: Float64Array
}

// e^-x = 2^-(n / 64) · e^r with n the nearest integer to x · 64 / ln 2, so |r| < 0.0055 and a short series is enough
// (Tang, ACM TOMS 1989). ln 2 is split in two, as in fdlibm, so that n · (ln 2 / 64) loses nothing.
const ROOTS_OF_HALF = Float64Array.from({ length: 64 }, (_, i) => 2 ** (-i / 64))
const POWERS_OF_HALF = Float64Array.from({ length: 1024 }, (_, i) => 2 ** -i)
const STEP_HIGH = 0.6931471803691238 / 64
const STEP_LOW = 1.9082149292705877e-10 / 64
const STEPS_PER_NAT = 64 / Math.LN2
const SMALLEST_NORMAL = -708

/**
 * e^x for x ≤ 0 (NaN for others), within 1e-15 of its value and never rising as x falls. Up to twice as fast as
 * Math.exp, which each engine approximates in its own way; here only the 64 roots and subnormal results are the engine's.
 */
export function expNegative(x: number): number {
  if (x < SMALLEST_NORMAL) return Math.exp(x) // subnormal, or 0
  const n = (0.5 - x * STEPS_PER_NAT) | 0
  const r = x + n * STEP_HIGH + n * STEP_LOW
  const series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120)))))
  return POWERS_OF_HALF[n >> 6]! * ROOTS_OF_HALF[n & 63]! * series
}

/** ln Σ exp(value), in nats, without overflow. Empty or all -Infinity → -Infinity; any NaN → NaN. */
export function logSumExp(values: FloatArray): number {
  let max = -Infinity
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value > max) max = value
    else if (Number.isNaN(value)) return NaN
  }
  if (max === -Infinity || max === Infinity) return max
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += expNegative(values[i]! - max)
  return max + Math.log(sum)
}

/**
 * Writes softmax(values / temperature) to `out` (same length; may be `values` itself) and returns it.
 * @throws E_RUNTIME if there is no such distribution: a NaN, a +Infinity, or nothing above -Infinity
 */
export function softmaxInto<Out extends FloatArray>(out: Out, values: FloatArray, temperature = 1): Out {
  const { max } = extremes(values)
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += expNegative((values[i]! - max) / temperature)
  for (let i = 0; i < values.length; i++) out[i] = expNegative((values[i]! - max) / temperature) / sum
  return out
}

/**
 * Largest and smallest value, and where the largest stands (lowest index on a tie), of a row that is to become
 * a distribution; -Infinity (banned) is allowed beside others.
 * @throws E_RUNTIME on a NaN, a +Infinity, or nothing above -Infinity
 */
export function extremes(values: FloatArray): { max: number; min: number; argmax: number } {
  let max = -Infinity
  let min = Infinity
  let argmax = -1
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    // Written so that a NaN fails the first comparison and reaches the check, which costs ordinary values nothing.
    if (!(value <= max)) {
      if (Number.isNaN(value)) throw new ForerunError("E_RUNTIME", `value ${i} of ${values.length} is NaN`)
      max = value
      argmax = i
    }
    if (value < min) min = value
  }
  if (max === Infinity) throw new ForerunError("E_RUNTIME", `value ${argmax} of ${values.length} is +Infinity`)
  if (max === -Infinity) throw new ForerunError("E_RUNTIME", `no value of ${values.length} is above -Infinity`)
  return { max, min, argmax }
}

/**
 * `extremes(values).argmax`, with the same failures, but faster: only float32 ever comes here, and four maxima are kept
 * side by side, so that no comparison waits for the one before.
 */
export function likeliest(values: Float32Array): number {
  let a = -Infinity
  let b = -Infinity
  let c = -Infinity
  let d = -Infinity
  let sum = 0 // not finite as soon as one value is not
  const whole = values.length - (values.length % 4)
  for (let i = 0; i < whole; i += 4) {
    const w = values[i]!
    const x = values[i + 1]!
    const y = values[i + 2]!
    const z = values[i + 3]!
    if (w > a) a = w
    if (x > b) b = x
    if (y > c) c = y
    if (z > d) d = z
    sum += w + x + (y + z)
  }
  for (let i = whole; i < values.length; i++) {
    if (values[i]! > a) a = values[i]!
    sum += values[i]!
  }
  return Number.isFinite(sum) && values.length > 0 ? values.indexOf(Math.max(a, b, c, d)) : extremes(values).argmax
}

/**
 * Index of the largest value, the lowest index if several tie. NaN never wins.
 * @throws E_RUNTIME if the row is empty or all NaN
 */
export function argmax(values: FloatArray): number {
  let best = -Infinity
  let index = -1
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value > best) {
      best = value
      index = i
    }
  }
  if (index < 0) index = values.indexOf(-Infinity)
  if (index < 0) throw new ForerunError("E_RUNTIME", `argmax needs a number; found ${values.length} values, all NaN`)
  return index
}

/**
 * The k largest values, descending, ties by lowest index first; fewer when fewer are not NaN.
 * A heap of k stands at the gate, so most values of a long row cost one comparison: n + k log k · log(n / k) on
 * shuffled input.
 * @throws E_RUNTIME if k > 0 and the row is empty or all NaN
 */
export function topK(values: FloatArray, k: number): Top {
  const capacity = Math.max(0, Math.min(k, values.length))
  const heap = new Int32Array(capacity) // indices; the root is the one that would leave first
  let size = 0
  let gate = -Infinity
  for (let i = 0; i < values.length && capacity > 0; i++) {
    const value = values[i]!
    if (size === capacity) {
      // An equal value comes later, so it has the higher index and loses the tie.
      if (!(value > gate)) continue
      heap[0] = i
      siftDown(heap, values, 0, size)
      gate = values[heap[0]!]!
    } else if (!Number.isNaN(value)) {
      heap[size++] = i
      if (size < capacity) continue
      for (let node = (size >> 1) - 1; node >= 0; node--) siftDown(heap, values, node, size)
      gate = values[heap[0]!]!
    }
  }
  if (size === 0 && k > 0) {
    throw new ForerunError("E_RUNTIME", `top-k needs a number; found ${values.length} values, all NaN`)
  }
  const ids = sortDescending(heap.subarray(0, size), values)
  return { ids, values: Float64Array.from(ids, (id) => values[id]!) }
}

/** Sorts indices in place by their values, descending, ties by lowest index first; returns them. */
export function sortDescending(ids: Int32Array, values: FloatArray): Int32Array {
  return ids.sort((a, b) => {
    const left = values[a]!
    const right = values[b]!
    return left === right ? a - b : left < right ? 1 : -1 // no subtraction: two -Infinity would make a NaN
  })
}

/** Shannon entropy in nats of a normalised distribution; 0 ln 0 = 0. NaN or negative entries give NaN. */
export function entropy(probs: FloatArray): number {
  let sum = 0
  for (let i = 0; i < probs.length; i++) {
    const prob = probs[i]!
    if (prob !== 0) sum -= prob * Math.log(prob)
  }
  return sum
}

/** Moves the node down until neither child leaves before it. */
function siftDown(heap: Int32Array, values: FloatArray, start: number, size: number): void {
  const index = heap[start]!
  let node = start
  for (;;) {
    let child = 2 * node + 1
    if (child >= size) break
    if (child + 1 < size && leavesBefore(heap[child + 1]!, heap[child]!, values)) child++
    if (!leavesBefore(heap[child]!, index, values)) break
    heap[node] = heap[child]!
    node = child
  }
  heap[node] = index
}

function leavesBefore(a: number, b: number, values: FloatArray): boolean {
  const left = values[a]!
  const right = values[b]!
  return left < right || (left === right && a > b)
}

/** The middle value, or the mean of the middle two. @throws E_INTERNAL when there is none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new ForerunError("E_INTERNAL", "a median needs at least one value")
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
