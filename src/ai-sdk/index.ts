/** forerun/ai-sdk: a provider for the AI SDK, over a loaded model in this process or over a server. */
import { NoSuchModelError, type ProviderV3, type ProviderV4 } from "@ai-sdk/provider"
import type { Fetch, Server } from "./call.ts"
import { type EmbeddingModels, embeddingModel } from "./embedding-model.ts"
import { languageModel, type Models, type Version } from "./language-model.ts"

export type { ForerunOptions } from "./request.ts"

export interface ForerunSettings<V extends Version = "v4"> {
  /** A loaded model answers in this process, without a socket. */
  readonly model?: { readonly fetch: (input: string, init?: RequestInit) => Promise<Response> }
  /** Of a server, where no model is given; default http://127.0.0.1:4141/v1. */
  readonly baseURL?: string
  readonly apiKey?: string
  readonly headers?: Readonly<Record<string, string>>
  /** In place of the global one, where no model is given. */
  readonly fetch?: Fetch
  /** Of the AI SDK's specification: v4 since ai@7, v3 for ai@6. Default v4. */
  readonly version?: V
}

interface Providers {
  readonly v3: ProviderV3
  readonly v4: ProviderV4
}

/** A provider, and a function that is its `languageModel`; without a name, the model that is served. */
export type ForerunProvider<V extends Version = "v4"> = Providers[V] & {
  (modelId?: string): Models[V]
  languageModel(modelId?: string): Models[V]
  embeddingModel(modelId?: string): EmbeddingModels[V]
}

export function createForerun<V extends Version = "v4">(settings: ForerunSettings<V> = {}): ForerunProvider<V> {
  const { model, baseURL = "http://127.0.0.1:4141/v1", apiKey, headers = {} } = settings
  const version = settings.version ?? ("v4" as V)
  const server: Server = {
    fetch: model?.fetch ?? settings.fetch ?? ((input, init) => fetch(input, init)),
    baseURL: baseURL.replace(/\/+$/, ""),
    headers: { ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }), ...headers },
  }
  const chat = (modelId = "default") => languageModel(server, modelId, version)
  const provider = {
    specificationVersion: version,
    languageModel: chat,
    embeddingModel: (modelId = "default") => embeddingModel(server, modelId, version),
    imageModel(modelId: string): never {
      throw new NoSuchModelError({ modelId, modelType: "imageModel" })
    },
  }
  return Object.assign((modelId?: string) => chat(modelId), provider) as unknown as ForerunProvider<V>
}
