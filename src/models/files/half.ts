/** Half precision: a table of all 65,536 values. */

let bits: Uint32Array<ArrayBuffer> | undefined

/** The float32 bits of every float16. */
export function halfBits(): Uint32Array<ArrayBuffer> {
  if (bits !== undefined) return bits
  bits = new Uint32Array(65_536)
  for (let half = 0; half < 65_536; half++) {
    const sign = (half & 0x8000) << 16
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    bits[half] = sign | magnitudeBits(exponent, fraction)
  }
  return bits
}

/** The value of every float16. */
export const halfValues = (): Float32Array<ArrayBuffer> => new Float32Array(halfBits().buffer)

function magnitudeBits(exponent: number, fraction: number): number {
  if (exponent === 31) return 0x7f800000 | (fraction << 13)
  if (exponent > 0) return ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return 0
  // Subnormal: shift the highest set bit into the hidden one's place.
  const shift = Math.clz32(fraction) - 21
  return ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13)
}
