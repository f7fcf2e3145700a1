/** Which method answers a request that brings the text it expects: the one it names, or one that drafts from it. */

import { resolveOptions } from "../decoding/options.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import { RequestError } from "./request-options.ts"

/** Where neither the request nor the command line names a method. */
const forPredictions = "predicted-output"

/**
 * A prediction is a hint: without a method that the request itself names, it gets one that drafts from it.
 * @throws RequestError for `decoding` or `prediction`
 */
export async function chooseMethod(
  options: GenerateOptions,
  body: Readonly<Record<string, unknown>>,
): Promise<GenerateOptions> {
  const isChosen = body.decoding !== undefined && body.decoding !== null
  const method = await described("decoding", () => loadContinuation(options.method ?? "autoregressive"))
  if (options.prediction !== undefined && method.prediction === undefined) {
    if (isChosen) throw new RequestError("prediction", `${method.name} takes no prediction`)
    return { ...options, method: forPredictions, options: {} }
  }
  if (options.prediction === undefined && method.prediction === "needed")
    throw new RequestError("prediction", `${method.name} needs a prediction, and none was given`)
  await described("decoding", async () => resolveOptions(method, options.options))
  return options
}

async function described<T>(param: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    throw new RequestError(param, (thrown as Error).message)
  }
}
