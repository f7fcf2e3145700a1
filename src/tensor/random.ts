/** Seeded randomness: one xoroshiro128+ stream per (seed, path of fork labels). */

import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64"
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus"
import { ForerunError } from "../base/errors.ts"

export interface Random {
  /** The next number of this stream: float64 in [0, 1), a multiple of 2^-53. */
  next(): number
  /**
   * A stream of its own, determined by the seed and the labels on the way only: neither how much was drawn here nor
   * the order of forks matters. The same label twice gives the same stream from its start. The number 1 and the
   * string "1" are different labels.
   * @throws E_OPTION if a numeric label is not finite
   */
  fork(label: string | number): Random
}

const MIN_SEED = -(2n ** 63n)
const MAX_SEED = 2n ** 64n - 1n

/** @param seed a safe integer, or a bigint from -2^63 to 2^64 - 1 (every one its own stream; 7 and 7n are the same). */
export function createRandom(seed: number | bigint): Random {
  return streamOf(absorb(FNV_OFFSET, checkSeed(seed)))
}

/** The seed as a bigint. @throws E_OPTION if it is not a safe integer or a bigint from -2^63 to 2^64 - 1 */
export function checkSeed(seed: unknown): bigint {
  if (typeof seed === "number" && Number.isSafeInteger(seed)) return BigInt(seed)
  if (typeof seed === "bigint" && seed >= MIN_SEED && seed <= MAX_SEED) return seed
  const found = typeof seed === "number" || typeof seed === "bigint" ? String(seed) : typeof seed
  const allowed = "a safe integer, or a bigint from -2^63 to 2^64 - 1"
  throw new ForerunError("E_OPTION", `seed must be ${allowed}; found ${found}`)
}

function streamOf(key: bigint): Random {
  const generator = xoroshiro128plusFromState(stateOf(key))
  return {
    next: () => uniformFloat64(generator),
    fork: (label) => streamOf(keyOfFork(key, label)),
  }
}

// A key is 128 bits: FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv) over the path, a UTF-16 unit at a time.
const FNV_OFFSET = 0x6c62272e07bb014262b821756295c58dn
const FNV_PRIME = (1n << 88n) + 0x13bn
const END_OF_LABEL = 0x10000n // no UTF-16 unit, so ["ab"] and ["a", "b"] are different paths

function absorb(key: bigint, value: bigint): bigint {
  return BigInt.asUintN(128, BigInt.asUintN(128, key ^ value) * FNV_PRIME)
}

function keyOfFork(key: bigint, label: string | number): bigint {
  if (typeof label === "number" && !Number.isFinite(label)) {
    throw new ForerunError("E_OPTION", `a fork's label must be a string or a finite number; found ${label}`)
  }
  const text = typeof label === "number" ? `n${label}` : `s${label}`
  let child = key
  for (let i = 0; i < text.length; i++) child = absorb(child, BigInt(text.charCodeAt(i)))
  return absorb(child, END_OF_LABEL)
}

/**
 * Four 32-bit words in pure-rand's order [s0 high, s0 low, s1 high, s1 low]. FNV alone mixes too little for a
 * linear generator's state, so SplitMix64 (Steele, Lea, Flood 2014) stirs the halves into each other; every step can
 * be undone, so different keys give different states.
 */
function stateOf(key: bigint): number[] {
  let s0 = mix64((key >> 64n) + 0x9e3779b97f4a7c15n)
  const s1 = mix64(BigInt.asUintN(64, key) ^ s0)
  s0 = mix64(s0 ^ s1)
  return [s0 >> 32n, s0, s1 >> 32n, s1].map((word) => Number(BigInt.asIntN(32, word)))
}

function mix64(value: bigint): bigint {
  let z = BigInt.asUintN(64, value)
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return z ^ (z >> 31n)
}
