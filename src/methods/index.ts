/** The registry: one line a method, each loaded when it is first asked for. */
import { ForerunError } from "../base/errors.ts"
import type { Method } from "../decoding/method.ts"

const registry: Readonly<Record<string, () => Promise<Method>>> = {
  auto: async () => (await import("./auto/auto.ts")).auto,
  autoregressive: async () => (await import("./autoregressive/autoregressive.ts")).autoregressive,
  "draft-model": async () => (await import("./draft-model/draft-model.ts")).draftModel,
  lookahead: async () => (await import("./lookahead/lookahead.ts")).lookahead,
  "predicted-output": async () => (await import("./predicted-output/predicted-output.ts")).predictedOutput,
  "prompt-lookup": async () => (await import("./prompt-lookup/prompt-lookup.ts")).promptLookup,
  "quantised-self": async () => (await import("./quantised-self/quantised-self.ts")).quantisedSelf,
}

export const methodNames: readonly string[] = Object.keys(registry)

/** @throws ForerunError E_METHOD_NOT_FOUND with the names there are */
export async function loadMethod(name: string): Promise<Method> {
  const load = Object.hasOwn(registry, name) ? registry[name] : undefined
  if (!load)
    throw new ForerunError("E_METHOD_NOT_FOUND", `there is no method "${name}" (methods: ${methodNames.join(", ")})`)
  return load()
}
