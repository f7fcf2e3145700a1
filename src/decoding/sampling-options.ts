/** What a caller may ask of sampling: the options, their ranges and defaults. */

import { ForerunError } from "../base/errors.ts"
import { checkSeed } from "../tensor/random.ts"

/** Every option may be left out; undefined means its default. Other properties of the object are ignored. */
export interface SamplingOptions {
  /** 0 (default) is greedy: the likeliest token, lowest id on a tie. Otherwise logits are divided by it. */
  readonly temperature?: number | undefined
  /** Keep the k likeliest tokens; 0 (default) keeps all. Exactly k: ties at the edge go to the lowest id. */
  readonly topK?: number | undefined
  /** Keep the smallest set of likeliest tokens with at least this mass, at least one; 1 (default) keeps all. */
  readonly topP?: number | undefined
  /** Keep tokens with at least this fraction of the likeliest token's probability; 0 (default) keeps all. */
  readonly minP?: number | undefined
  /** Divides positive and multiplies negative logits of tokens in prompt or output (CTRL, arXiv:1909.05858 §4.1). */
  readonly repetitionPenalty?: number | undefined
  /** Subtracted from the logits of tokens in the output, once (OpenAI). */
  readonly presencePenalty?: number | undefined
  /** Subtracted from the logits of tokens in the output, times their count (OpenAI). */
  readonly frequencyPenalty?: number | undefined
  /** Token id → number added to its logit, from -100 (practically banned) to 100 (OpenAI). */
  readonly logitBias?: Readonly<Record<number | string, number>> | ReadonlyMap<number, number> | undefined
  /** A safe integer. Left out: the caller chooses one and reports it. */
  readonly seed?: number | undefined
}

/** Checked, with defaults in place. */
export interface ResolvedSampling {
  /** Width of the logits this was checked against. */
  readonly vocabulary: number
  readonly temperature: number
  /** 0 if off; a k that would keep every token is off too. */
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  readonly logitBias: ReadonlyMap<number, number>
  readonly seed: number | undefined
}

interface Range {
  readonly low: number
  readonly high: number
  readonly integer?: boolean
}

/**
 * @param vocabulary width of the logits
 * @throws E_OPTION naming the option, what is allowed and what was found
 */
export function validateSampling(options: SamplingOptions, vocabulary: number): ResolvedSampling {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw refuse("sampling options", "an object", options)
  }
  const size = check("vocabulary", vocabulary, 0, { low: 1, high: 2 ** 31 - 1, integer: true })
  const topK = check("topK", options.topK, 0, { low: 0, high: Number.MAX_SAFE_INTEGER, integer: true })
  return {
    vocabulary: size,
    temperature: check("temperature", options.temperature, 0, { low: 0, high: Infinity }),
    topK: topK >= size ? 0 : topK,
    topP: check("topP", options.topP, 1, { low: 0, high: 1 }),
    minP: check("minP", options.minP, 0, { low: 0, high: 1 }),
    // Bounded away from 0, where dividing by it would overflow.
    repetitionPenalty: check("repetitionPenalty", options.repetitionPenalty, 1, { low: 0.01, high: 100 }),
    presencePenalty: check("presencePenalty", options.presencePenalty, 0, { low: -2, high: 2 }),
    frequencyPenalty: check("frequencyPenalty", options.frequencyPenalty, 0, { low: -2, high: 2 }),
    logitBias: checkBias(options.logitBias, size),
    seed: checkSafeSeed(options.seed),
  }
}

function check(name: string, value: unknown, fallback: number, range: Range): number {
  if (value === undefined) return fallback
  const fits = typeof value === "number" && Number.isFinite(value) && value >= range.low && value <= range.high
  if (!fits || (range.integer && !Number.isInteger(value))) throw refuse(name, describe(range), value)
  return value
}

function checkBias(bias: unknown, vocabulary: number): ReadonlyMap<number, number> {
  const checked = new Map<number, number>()
  if (bias === undefined) return checked
  if (typeof bias !== "object" || bias === null || Array.isArray(bias)) {
    throw refuse("logitBias", "an object or Map of token id to number", bias)
  }
  for (const [key, value] of bias instanceof Map ? bias : Object.entries(bias)) {
    const id = typeof key === "string" && /^(0|[1-9]\d*)$/.test(key) ? Number(key) : key
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= vocabulary) {
      throw refuse("logitBias: a token id", `an integer from 0 to ${vocabulary - 1}`, key)
    }
    checked.set(id, check(`logitBias[${id}]`, value ?? NaN, 0, { low: -100, high: 100 }))
  }
  return checked
}

function checkSafeSeed(seed: unknown): number | undefined {
  if (seed === undefined) return undefined
  if (typeof seed !== "number") throw refuse("seed", "a safe integer", seed)
  checkSeed(seed)
  return seed
}

function describe({ low, high, integer }: Range): string {
  const kind = integer ? "an integer" : "a number"
  return high >= Number.MAX_SAFE_INTEGER
    ? `a finite ${kind.split(" ")[1]} of at least ${low}`
    : `${kind} from ${low} to ${high}`
}

function refuse(name: string, allowed: string, found: unknown): ForerunError {
  const isPlain = typeof found === "number" || typeof found === "boolean" || found === null
  const shown = isPlain ? String(found) : typeof found === "string" ? JSON.stringify(found.slice(0, 40)) : typeof found
  return new ForerunError("E_OPTION", `${name} must be ${allowed}; found ${shown}`)
}
