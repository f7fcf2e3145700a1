/** From flags to the options of one generation, refused before a model is loaded for nothing. */
import { resolveOptions } from "../decoding/options.ts"
import { validateSampling } from "../decoding/sampling-options.ts"
import { createStopper } from "../decoding/stop.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import type { GenerateFlags } from "./flags.ts"
import { readText } from "./read-text.ts"

/** Every vocabulary is smaller; the model's own is checked when it is known. */
const anyVocabulary = 2 ** 31 - 1

/** @throws ForerunError E_OPTION, E_METHOD_NOT_FOUND, E_IO */
export async function generateOptions(flags: GenerateFlags): Promise<GenerateOptions> {
  const { option, method = "autoregressive", stop = [], samples, predictionFile } = flags
  const options = {
    ...taken(flags),
    ...(samples === undefined ? {} : { n: samples }),
    method,
    ...(option === undefined ? {} : { options: option }),
    ...(predictionFile === undefined ? {} : { prediction: await readText(predictionFile) }),
  }
  validateSampling(options, anyVocabulary)
  resolveOptions(await loadContinuation(method), option)
  createStopper({ stopStrings: stop, decode: { push: () => "", flush: () => "" } })
  return options
}

const same = [
  "maxTokens",
  "temperature",
  "topK",
  "topP",
  "minP",
  "repetitionPenalty",
  "presencePenalty",
  "frequencyPenalty",
  "logitBias",
  "seed",
  "stop",
  "logprobs",
  "raw",
  "system",
] as const

/** The flags that are options under the same name. */
function taken(flags: GenerateFlags): GenerateOptions {
  const entries = same.map((name) => [name, flags[name]] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}
