/** POST /v1/embeddings: the mean of the model's last hidden states, of length 1. */
import { ForerunError } from "../base/errors.ts"
import type { ModelCache } from "../generate/model.ts"
import { RequestError } from "../jobs/request-options.ts"
import { blockSize } from "../models/builder.ts"
import { apiError } from "./api-error.ts"
import { embeddingBody, parseBody } from "./bodies.ts"
import { checkModel } from "./completions/prepare.ts"
import type { ApiRequest, Route, ServerContext } from "./context.ts"
import { readJson } from "./read-body.ts"

async function embed({ raw, signal }: ApiRequest, context: ServerContext): Promise<Response> {
  const { model, settings } = context
  const body = parseBody(embeddingBody, await readJson(raw, settings.limits.bodyBytes))
  checkModel(body.model, context)
  const { hidden } = model.info.config
  const { dimensions, encoding_format: format } = body
  if (typeof dimensions === "number" && dimensions > hidden)
    throw new RequestError("dimensions", `at most ${hidden} dimensions; found ${dimensions}`)
  const inputs = inputsOf(body.input)
  if (inputs.length > settings.limits.answers)
    throw new RequestError("input", `at most ${settings.limits.answers} inputs to one request; found ${inputs.length}`)
  const data: object[] = []
  let tokens = 0
  for (const [index, input] of inputs.entries()) {
    const ids = await tokensOf(input, model).catch((thrown: unknown) => {
      throw apiError(thrown, "input")
    })
    tokens += ids.length
    const vector = normalised((await meanHidden(ids, { model, signal })).subarray(0, dimensions ?? hidden))
    data.push({ object: "embedding", index, embedding: format === "base64" ? base64(vector) : Array.from(vector) })
  }
  const usage = { prompt_tokens: tokens, total_tokens: tokens }
  return Response.json({ object: "list", data, model: settings.name, usage })
}

type Input = string | readonly number[]

function inputsOf(input: unknown): readonly Input[] {
  if (typeof input === "string") return [input]
  const list = input as readonly unknown[]
  return typeof list[0] === "number" ? [list as readonly number[]] : (list as readonly Input[])
}

type Embedder = Pick<ServerContext["model"], "info" | "encodePrompt" | "openCache" | "forward">

/** @throws ForerunError E_INPUT, E_CONTEXT_LENGTH */
async function tokensOf(input: Input, model: Embedder): Promise<Int32Array> {
  const tokens = await model.encodePrompt(typeof input === "string" ? input : { tokens: input }, { raw: true })
  const { context } = model.info.config
  if (tokens.length === 0) throw new ForerunError("E_INPUT", "an input is empty: at least one token is needed")
  if (tokens.length <= context) return tokens
  throw new ForerunError("E_CONTEXT_LENGTH", `an input has ${tokens.length} tokens, the context holds ${context}`)
}

/** Chunk by chunk, so that a long text neither takes the memory of a whole pass nor keeps others waiting for it. */
async function meanHidden(
  tokens: Int32Array,
  { model, signal }: { readonly model: Embedder; readonly signal: AbortSignal },
): Promise<Float64Array> {
  const { hidden } = model.info.config
  const sum = new Float64Array(hidden)
  const cache: ModelCache = await model.openCache()
  try {
    for (let start = 0; start < tokens.length; start += blockSize) {
      signal.throwIfAborted()
      const chunk = tokens.slice(start, start + blockSize)
      const pass = await model.forward({ input: { tokens: chunk }, cache, want: { logits: "none", hidden: ["final"] } })
      const { data } = pass.hidden.get("final")!
      for (let i = 0; i < data.length; i++) sum[i % hidden]! += data[i]!
      if (start + blockSize < tokens.length) await pass.keep(Array.from(chunk, (_, row) => row))
    }
  } finally {
    await cache.dispose()
  }
  return sum.map((value) => value / tokens.length)
}

function normalised(vector: Float64Array): Float32Array {
  const length = Math.hypot(...vector) || 1
  return Float32Array.from(vector, (value) => value / length)
}

/** Little-endian float32, whatever this machine is. */
function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4)
  return bytes.toString("base64")
}

const summary = "Vectors of texts."
export const embeddingRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/embeddings", summary, body: embeddingBody, handle: embed },
  { method: "POST", path: "/embeddings", summary: "As /v1/embeddings.", body: embeddingBody, handle: embed },
]
