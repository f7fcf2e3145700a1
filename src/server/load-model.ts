/** A model that is its own OpenAI server, without a socket: `new OpenAI({ apiKey: "-", fetch: model.fetch })`. */
import { loadModel as load } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { LoadModelOptions } from "../generate/types.ts"
import type { App } from "./app.ts"

export interface ModelWithFetch extends Model {
  /** The routes of `forerun serve`, in this process; any host and any model's name will do. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
}

/**
 * @param name a .gguf file, a Hugging Face folder, a name in FORERUN_MODELS or the cache, or hf:user/repo[:quant];
 *   default: SmolLM2-135M-Instruct
 * @throws ForerunError E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_CONFIG, E_TOKENIZER, E_DOWNLOAD,
 *   E_OFFLINE, E_OPTION, E_DRAFT
 */
export async function loadModel(name?: string, options: LoadModelOptions = {}): Promise<ModelWithFetch> {
  const model = await load(name, options)
  let app: Promise<App> | undefined
  return {
    ...model,
    async fetch(input, init) {
      app ??= import("./app.ts").then(({ createApp }) => createApp(model, { isTrusted: true }))
      const request = new Request(input, init)
      const response = await (await app).fetch(request)
      return asFetched(response, request.signal)
    },
  }
}

/** As from a socket: whoever aborts gets the reason, before the answer or while reading it. */
function asFetched(response: Response, signal: AbortSignal): Response {
  signal.throwIfAborted()
  if (!response.body) return response
  return new Response(response.body.pipeThrough(new TransformStream(), { signal }), response)
}
