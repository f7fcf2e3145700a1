/** The registry: one line a method, each loaded when it is first asked for. */
import { ForerunError } from "../base/errors.ts"
import type { AnyMethod, Method } from "../decoding/method.ts"

const registry: Readonly<Record<string, () => Promise<AnyMethod>>> = {
  auto: async () => (await import("./auto/auto.ts")).auto,
  autoregressive: async () => (await import("./autoregressive/autoregressive.ts")).autoregressive,
  del: async () => (await import("./del/del.ts")).del,
  dovetail: async () => (await import("./dovetail/dovetail.ts")).dovetail,
  "draft-model": async () => (await import("./draft-model/draft-model.ts")).draftModel,
  medusa: async () => (await import("./medusa/medusa.ts")).medusa,
  "hidden-transfer": async () => (await import("./hidden-transfer/hidden-transfer.ts")).hiddenTransfer,
  eagle: async () => (await import("./eagle/eagle.ts")).eagle,
  falcon: async () => (await import("./falcon/falcon.ts")).falcon,
  lookahead: async () => (await import("./lookahead/lookahead.ts")).lookahead,
  "predicted-output": async () => (await import("./predicted-output/predicted-output.ts")).predictedOutput,
  "prompt-lookup": async () => (await import("./prompt-lookup/prompt-lookup.ts")).promptLookup,
  "quantised-self": async () => (await import("./quantised-self/quantised-self.ts")).quantisedSelf,
  "self-speculative": async () => (await import("./self-speculative/self-speculative.ts")).selfSpeculative,
  "specdec-plus-plus": async () => (await import("./specdec-plus-plus/specdec-plus-plus.ts")).specdecPlusPlus,
  "first-finish": async () => (await import("./first-finish/first-finish.ts")).firstFinish,
  "equilibrium-ranking": async () => (await import("./equilibrium-ranking/equilibrium-ranking.ts")).equilibriumRanking,
  "token-forcing": async () => (await import("./token-forcing/token-forcing.ts")).tokenForcing,
  "batch-llm": async () => (await import("./batch-llm/batch-llm.ts")).batchLlm,
}

export const methodNames: readonly string[] = Object.keys(registry)

/** @throws ForerunError E_METHOD_NOT_FOUND with the names there are */
export async function loadMethod(name: string): Promise<AnyMethod> {
  const load = Object.hasOwn(registry, name) ? registry[name] : undefined
  if (!load)
    throw new ForerunError("E_METHOD_NOT_FOUND", `there is no method "${name}" (methods: ${methodNames.join(", ")})`)
  return load()
}

/** A method that continues a prompt. @throws ForerunError E_METHOD_NOT_FOUND, E_OPTION naming the verb of one that does not */
export async function loadContinuation(name: string): Promise<Method> {
  const method = await loadMethod(name)
  if (method.verb === undefined) return method as Method
  throw new ForerunError("E_OPTION", `${name} does not continue a prompt; forerun ${method.verb} runs it`)
}

/** The methods that `loadContinuation` loads. */
export async function continuationNames(): Promise<string[]> {
  const methods = await Promise.all(methodNames.map(loadMethod))
  return methods.filter(({ verb }) => verb === undefined).map(({ name }) => name)
}
