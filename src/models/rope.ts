/** Rotary frequencies and tables, in float32 steps as the reference implementations take them. */
import type { RopeConfig } from "./config.ts"

export interface RopeFrequencies {
  /** [dimensions / 2]; radians a position */
  readonly inverse: Float32Array
  /** Multiplies cos and sin. */
  readonly scale: number
}

const twoPi = 2 * Math.PI

/** @param extended whether a position past the trained context is meant (longrope keeps two sets of factors) */
export function ropeFrequencies(rope: RopeConfig, extended = false): RopeFrequencies {
  const { base, dimensions, scaling } = rope
  const half = dimensions / 2
  const plain = Float32Array.from({ length: half }, (_, i) => 1 / Math.fround(base ** ((2 * i) / dimensions)))
  if (!scaling) return { inverse: plain, scale: 1 }
  if (scaling.type === "linear") return { inverse: plain.map((f) => f / scaling.factor), scale: 1 }
  if (scaling.type === "factors") return { inverse: plain.map((f, i) => f / (scaling.factors[i] ?? 1)), scale: 1 }
  if (scaling.type === "longrope") {
    const factors = extended ? scaling.longFactor : scaling.shortFactor
    return { inverse: plain.map((f, i) => f / (factors[i] ?? 1)), scale: scaling.attentionFactor }
  }
  if (scaling.type === "llama3") {
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling
    const stretched = plain.map((f) => {
      const wavelength = twoPi / f
      if (wavelength > originalContext / low) return f / factor
      if (wavelength < originalContext / high) return f
      const smooth = (originalContext / wavelength - low) / (high - low)
      return (1 - smooth) * (f / factor) + smooth * f
    })
    return { inverse: stretched, scale: 1 }
  }
  // YaRN, "by parts": fast frequencies stay, slow ones are interpolated, a ramp between.
  const turns = (rotations: number) =>
    (dimensions * Math.log(scaling.originalContext / (rotations * twoPi))) / (2 * Math.log(base))
  const bound = (value: number, rounded: (value: number) => number) => (scaling.truncate ? rounded(value) : value)
  const low = Math.max(bound(turns(scaling.betaFast), Math.floor), 0)
  let high = Math.min(bound(turns(scaling.betaSlow), Math.ceil), dimensions - 1)
  if (low === high) high += 0.001
  const inverse = plain.map((f, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)))
    return (f / scaling.factor) * ramp + f * (1 - ramp)
  })
  return { inverse, scale: scaling.attentionFactor }
}

/** Writes cos and sin of one position into rows of length dimensions / 2. */
export function ropeRow(
  frequencies: RopeFrequencies,
  position: number,
  cos: Float32Array,
  sin: Float32Array,
  at: number,
): void {
  const { inverse, scale } = frequencies
  for (let i = 0; i < inverse.length; i++) {
    const angle = Math.fround(position * inverse[i]!)
    cos[at + i] = Math.cos(angle) * scale
    sin[at + i] = Math.sin(angle) * scale
  }
}
