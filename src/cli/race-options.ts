/** From flags to a race, refused before a model is loaded for nothing. */

import type { OptionValues } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import { validateSampling } from "../decoding/sampling-options.ts"
import type { RunOptions } from "../generate/types.ts"
import { firstFinish } from "../methods/first-finish/first-finish.ts"
import { loadContinuation } from "../methods/index.ts"
import type { GenerateFlags } from "./flags.ts"
import { usageError } from "./output.ts"

export interface RaceFlags extends GenerateFlags {
  readonly lanes?: number
  readonly first?: number
  readonly methodOption?: Readonly<Record<string, string>>
  readonly server?: string
  readonly serverModel?: string
  readonly in?: string
  readonly out?: string
  readonly limit?: number
}

export interface RaceSettings {
  readonly run: RunOptions & {
    readonly maxTokens: number
    readonly temperature: number
    readonly topP: number
    readonly seed: number
  }
  /** Of first-finish, all of them. */
  readonly options: OptionValues
}

/** Sampling as the paper has it: temperature 0.6, nucleus 0.95. @throws E_OPTION, E_METHOD_NOT_FOUND, E_USAGE */
export async function raceSettings(flags: RaceFlags): Promise<RaceSettings> {
  const { lanes, first, option, method = "autoregressive", methodOption, topK, minP } = flags
  const given = { ...option, ...(lanes === undefined ? {} : { lanes }), ...(first === undefined ? {} : { first }) }
  const options = resolveOptions(firstFinish, given)
  if (Number(options.first) > Number(options.lanes)) throw usageError("--first must be at most --lanes")
  resolveOptions(await loadContinuation(method), methodOption)
  const { temperature = 0.6, topP = 0.95, maxTokens = 512, seed = Math.floor(Math.random() * 2 ** 32) } = flags
  const sampling = {
    temperature,
    topP,
    ...(topK === undefined ? {} : { topK }),
    ...(minP === undefined ? {} : { minP }),
  }
  validateSampling(sampling, 2 ** 31 - 1)
  if (temperature === 0 && Number(options.lanes) > 1 && options.strategy !== "beam")
    throw usageError("lanes differ only when sampling: --temperature must be above 0")
  const inner = { method, ...(methodOption === undefined ? {} : { options: methodOption }) }
  return { run: { ...sampling, options, inner, maxTokens, temperature, topP, seed }, options }
}
