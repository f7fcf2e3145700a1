/** GGUF's rotary scaling keys and factor tensors to RopeScaling. */

import type { RopeScaling } from "../config.ts"
import { type Fields, LIMITS } from "./fields.ts"
import { configError, formatError, unsupportedError } from "./format-error.ts"

/** The values of rope_freqs.weight, rope_factors_long.weight and rope_factors_short.weight, where present. */
export interface FrequencyFactors {
  readonly all?: readonly number[]
  readonly long?: readonly number[]
  readonly short?: readonly number[]
}

interface RopeFacts {
  readonly dimensions: number
  readonly context: number
  readonly factors: FrequencyFactors
}

/** @throws ForerunError E_CONFIG, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED */
export function ggufRopeScaling(fields: Fields, path: string, facts: RopeFacts): RopeScaling | undefined {
  const { dimensions, context, factors } = facts
  checkFactors(path, dimensions, factors)
  const type = fields.text("rope.scaling.type", "none")
  const originalContext = fields.integer("rope.scaling.original_context_length", LIMITS.context, context)
  const attention = fields.number("rope.scaling.attn_factor", LIMITS.factor, 1)

  if (factors.long !== undefined && factors.short !== undefined) {
    // The usual attention factor divides by its logarithm.
    if (originalContext < 2) throw configError(`${path}: longrope needs an original context of at least 2, found 1`)
    const stretch = context / originalContext
    const attentionFactor = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(originalContext))
    return {
      type: "longrope",
      shortFactor: factors.short,
      longFactor: factors.long,
      originalContext,
      attentionFactor: fields.optionalNumber("rope.scaling.attn_factor", LIMITS.factor) ?? attentionFactor,
    }
  }
  if (type === "yarn") {
    if (factors.all !== undefined) throw unsupportedError(`${path}: yarn together with rope_freqs.weight`)
    const factor = fields.number("rope.scaling.factor", LIMITS.factor)
    if (fields.number("rope.scaling.yarn_log_multiplier", { min: -1e6, max: 1e6 }, 0) !== 0)
      throw unsupportedError(`${path}: rope.scaling.yarn_log_multiplier is not supported`)
    const own = fields.number("rope.scaling.yarn_attn_factor", LIMITS.factor, attention)
    return {
      type: "yarn",
      factor,
      originalContext,
      betaFast: fields.number("rope.scaling.yarn_beta_fast", LIMITS.factor, 32),
      betaSlow: fields.number("rope.scaling.yarn_beta_slow", LIMITS.factor, 1),
      attentionFactor: own * (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1),
      truncate: true,
    }
  }
  if (type !== "linear" && type !== "none" && type !== "longrope")
    throw unsupportedError(`${path}: rope.scaling.type ${JSON.stringify(type.slice(0, 40))} is not supported`)
  if (type === "longrope")
    throw formatError(`${path}: longrope needs rope_factors_long.weight and rope_factors_short.weight`)

  // Older files write rope.scale_linear.
  const key = fields.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear"
  const given = fields.number(key, { min: 0, max: LIMITS.factor.max }, 1)
  const factor = type === "none" && key === "rope.scaling.factor" ? 1 : given === 0 ? 1 : given
  if (factors.all !== undefined) return { type: "factors", factors: factors.all.map((each) => each * factor) }
  return factor === 1 ? undefined : { type: "linear", factor }
}

function checkFactors(path: string, dimensions: number, factors: FrequencyFactors): void {
  for (const [name, values] of Object.entries(factors)) {
    if (values === undefined) continue
    if (values.length !== dimensions / 2)
      throw formatError(`${path}: the rotary factors (${name}) need ${dimensions / 2} values, found ${values.length}`)
    if (!values.every((value: number) => value > 0 && value < 1e9))
      throw formatError(`${path}: the rotary factors (${name}) need positive finite values`)
  }
}
