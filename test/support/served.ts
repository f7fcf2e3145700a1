/** A random model behind the server on a free port, for tests that speak to it as clients do. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import OpenAI from "openai"
import type { Model } from "../../src/generate/model.ts"
import type { LoadModelOptions } from "../../src/generate/types.ts"
import { type App, createApp, type Listening, listen, type ServerSettings } from "../../src/server/index.ts"
import { loadModel, type ModelWithFetch } from "../../src/server/load-model.ts"
import { makeTinyFolder, type TinyFolder } from "./tiny-folder.ts"

export interface Served {
  readonly model: Model
  readonly app: App
  readonly url: string
  /** Without new tries, so that a test sees each failure. */
  readonly client: OpenAI
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  close(): Promise<void>
}

const template =
  "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"

/** A random model with a chat template, in a folder of its own. */
export function makeServedFolder(): TinyFolder {
  const tiny = makeTinyFolder({ context: 1024 })
  writeFileSync(join(tiny.path, "tokenizer_config.json"), JSON.stringify({ chat_template: template }))
  return tiny
}

export async function loadTiny(options: LoadModelOptions = {}): Promise<ModelWithFetch & { remove(): Promise<void> }> {
  const tiny = makeServedFolder()
  const model = await loadModel(tiny.path, { weights: "f32", threads: 1, ...options })
  return {
    ...model,
    async remove() {
      await model.dispose()
      tiny.remove()
    },
  }
}

export async function serve(model: Model, settings: ServerSettings = {}, key = "none"): Promise<Served> {
  const app = createApp(model, { settings: { name: "tiny", ...settings } })
  const listening: Listening = await listen(app, { drainSeconds: 5 })
  const { url } = listening
  return {
    ...{ model, app, url },
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 }),
    post: (path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    close: () => listening.close(),
  }
}
