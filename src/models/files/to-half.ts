/** float32 to half precision, rounded to nearest, ties to even; overflow becomes infinity. */

const word = new Float32Array(1)
const bitsOfWord = new Uint32Array(word.buffer)

export function toHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) halves[i] = halfOf(values[i]!)
  return halves
}

function halfOf(value: number): number {
  word[0] = value
  const bits = bitsOfWord[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00 // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00 // 65536 and above
  // Normal halves: the exponent moves from bias 127 to 15, 13 bits of the fraction are rounded away. A carry runs into
  // the exponent, which is what rounding up to the next power of two (or to infinity) means.
  if (magnitude >= 0x38800000) return sign | rounded(magnitude - 0x38000000, 13)
  const exponent = magnitude >>> 23
  if (exponent < 102) return sign // below half of the smallest subnormal
  return sign | rounded((magnitude & 0x7fffff) | 0x800000, 126 - exponent)
}

/** x / 2^shift to the nearest integer, ties to even. */
function rounded(x: number, shift: number): number {
  const whole = x >>> shift
  const rest = x & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  return rest > half || (rest === half && (whole & 1) === 1) ? whole + 1 : whole
}
