/** Random start values of weights. */
import type { Random } from "../tensor/random.ts"

/** Sum of three uniform numbers: bell-shaped, of this standard deviation, and never far out. */
export const bell = (random: Random, count: number, deviation: number): Float32Array =>
  Float32Array.from({ length: count }, () => 2 * deviation * (random.next() + random.next() + random.next() - 1.5))
