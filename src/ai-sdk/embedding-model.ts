/** Vectors of texts as the AI SDK asks for them, in version 3 or 4 of its specification. */
import type {
  EmbeddingModelV3,
  EmbeddingModelV3CallOptions,
  EmbeddingModelV4,
  EmbeddingModelV4CallOptions,
} from "@ai-sdk/provider"
import { headersOf, post, type Server } from "./call.ts"

export interface EmbeddingModels {
  readonly v3: EmbeddingModelV3
  readonly v4: EmbeddingModelV4
}

interface Embeddings {
  readonly data: readonly { readonly embedding: number[] }[]
  readonly usage: { readonly prompt_tokens: number }
}

export function embeddingModel<V extends keyof EmbeddingModels>(
  server: Server,
  modelId: string,
  version: V,
): EmbeddingModels[V] {
  const model = {
    ...{ provider: "forerun", modelId, maxEmbeddingsPerCall: 128, supportsParallelCalls: false },
    async doEmbed(options: EmbeddingModelV3CallOptions | EmbeddingModelV4CallOptions) {
      const dimensions = "dimensions" in options ? options.dimensions : undefined
      const body = { model: modelId, input: options.values, dimensions, encoding_format: "float" }
      const { headers, abortSignal: signal } = options
      const response = await post(server, { path: "/embeddings", body, headers, signal })
      const { data, usage } = (await response.json()) as Embeddings
      return {
        embeddings: data.map(({ embedding }) => embedding),
        usage: { tokens: usage.prompt_tokens },
        response: { headers: headersOf(response) },
        warnings: [],
      }
    },
  }
  const models: EmbeddingModels = {
    v3: { ...model, specificationVersion: "v3" },
    v4: { ...model, specificationVersion: "v4" },
  }
  return models[version]
}
