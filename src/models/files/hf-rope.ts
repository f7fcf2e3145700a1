/** Rotary settings of a config.json, in both spellings (rope_parameters; rope_theta + rope_scaling). */

import type { RopeConfig, RopeScaling } from "../config.ts"
import { type Fields, LIMITS } from "./fields.ts"
import { configError, unsupportedError } from "./format-error.ts"

export type LayerType = "full_attention" | "sliding_attention"

export interface RopeFacts {
  readonly family: string
  readonly headSize: number
  readonly context: number
}

const FULL = "full_attention"
const LOCAL_BASE = 10_000

/** @throws ForerunError E_CONFIG, E_MODEL_UNSUPPORTED */
export function hfRope(config: Fields, layerType: LayerType, facts: RopeFacts): RopeConfig {
  const { family, headSize } = facts
  const isLocal = family === "gemma3" && layerType !== FULL
  const perType = config.object("rope_parameters")
  const isNested = perType !== undefined && (perType.has(FULL) || perType.has("sliding_attention"))
  // transformers lets the older key win where a file has both; gemma3's applies to its full layers only.
  const legacy = isLocal ? undefined : config.object("rope_scaling")
  const modern = isNested ? perType.object(layerType) : isLocal ? undefined : perType
  const scaling = legacy ?? modern

  const baseKey = isLocal ? "rope_local_base_freq" : "rope_theta"
  const fallback = isLocal ? LOCAL_BASE : family === "gemma3" ? 1e6 : 10_000
  const base =
    legacy?.optionalNumber("rope_theta", LIMITS.ropeBase) ??
    modern?.optionalNumber("rope_theta", LIMITS.ropeBase) ??
    config.number(baseKey, LIMITS.ropeBase, fallback)

  const share = { min: 0, max: 1 }
  const partial =
    scaling?.optionalNumber("partial_rotary_factor", share) ?? config.number("partial_rotary_factor", share, 1)
  // The other families' code in transformers turns whole heads whatever this says.
  if (partial !== 1 && family !== "phi3") throw unsupportedError(`partial_rotary_factor ${partial} in family ${family}`)
  const dimensions = Math.trunc(headSize * partial)
  if (dimensions < 2 || dimensions % 2 !== 0)
    throw configError(
      `rotary embeddings need an even number of dimensions, found ${dimensions} of head size ${headSize}`,
    )

  const resolved = scaling === undefined ? undefined : resolveScaling(scaling, config, dimensions, facts)
  return { base, dimensions, ...(resolved === undefined ? {} : { scaling: resolved }) }
}

function resolveScaling(
  scaling: Fields,
  config: Fields,
  dimensions: number,
  facts: RopeFacts,
): RopeScaling | undefined {
  const { context, family } = facts
  const named = scaling.optionalText("rope_type") ?? scaling.text("type", "default")
  const isOldPhi3 = family === "phi3" && (named === "su" || named === "yarn")
  const type = isOldPhi3 ? "longrope" : named
  // A value beside the rotary settings wins over one inside them (phi3 keeps it there, 4096 if unsaid).
  const originalContext =
    config.optionalInteger("original_max_position_embeddings", LIMITS.context) ??
    (family === "phi3" ? 4096 : scaling.integer("original_max_position_embeddings", LIMITS.context, context))

  switch (type) {
    case "default":
      return undefined
    case "linear":
      return { type, factor: scaling.number("factor", LIMITS.factor) }
    case "llama3": {
      const lowFrequencyFactor = scaling.number("low_freq_factor", LIMITS.factor)
      const highFrequencyFactor = scaling.number("high_freq_factor", LIMITS.factor)
      if (highFrequencyFactor <= lowFrequencyFactor)
        throw configError(
          `high_freq_factor ${highFrequencyFactor} needs to exceed low_freq_factor ${lowFrequencyFactor}`,
        )
      const factor = scaling.number("factor", LIMITS.factor)
      return { type, factor, lowFrequencyFactor, highFrequencyFactor, originalContext }
    }
    case "yarn":
      return yarn(scaling, originalContext, context)
    case "longrope":
      return longrope(scaling, { originalContext, context, dimensions })
    default:
      throw unsupportedError(`rotary scaling type ${JSON.stringify(type.slice(0, 40))} is not supported`)
  }
}

function yarn(scaling: Fields, originalContext: number, context: number): RopeScaling {
  const factor = scaling.number("factor", LIMITS.factor, context / originalContext)
  const magnitude = (strength: number) => (factor <= 1 ? 1 : 0.1 * strength * Math.log(factor) + 1)
  const mscale = scaling.number("mscale", { min: 0, max: 1e6 }, 0)
  const mscaleAll = scaling.number("mscale_all_dim", { min: 0, max: 1e6 }, 0)
  const inferred = mscale !== 0 && mscaleAll !== 0 ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1)
  // 0 means "the usual" to transformers.
  const beta = { min: 0, max: 1e6 }
  return {
    type: "yarn",
    factor,
    originalContext,
    betaFast: scaling.number("beta_fast", beta, 32) || 32,
    betaSlow: scaling.number("beta_slow", beta, 1) || 1,
    attentionFactor: scaling.number("attention_factor", LIMITS.factor, inferred),
    truncate: scaling.boolean("truncate", true),
  }
}

function longrope(
  scaling: Fields,
  facts: { originalContext: number; context: number; dimensions: number },
): RopeScaling {
  const { originalContext, context, dimensions } = facts
  // The usual attention factor divides by its logarithm.
  if (originalContext < 2)
    throw configError(`longrope needs an original context of at least 2, found ${originalContext}`)
  const factor = scaling.number("factor", LIMITS.factor, context / originalContext)
  const inferred = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext))
  const factors = (key: string): number[] => {
    const values = scaling.numbers(key, LIMITS.factor)
    if (values.length !== dimensions / 2)
      throw configError(`${key} needs ${dimensions / 2} values, one a frequency, found ${values.length}`)
    return values
  }
  return {
    type: "longrope",
    shortFactor: factors("short_factor"),
    longFactor: factors("long_factor"),
    originalContext,
    attentionFactor: scaling.number("attention_factor", LIMITS.factor, inferred),
  }
}
