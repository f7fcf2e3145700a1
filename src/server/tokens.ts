/** POST /tokenize, /detokenize and /apply-template, GET /tokenizer_info: enough for an evaluation that counts tokens itself. */
import type { ChatMessage } from "../text/chat-template.ts"
import { apiError } from "./api-error.ts"
import { chatBody, detokenizeBody, parseBody, tokenizeBody } from "./bodies.ts"
import type { ApiRequest, Route, ServerContext } from "./context.ts"
import { readJson } from "./read-body.ts"

async function tokenize({ raw }: ApiRequest, { model, settings, spelling }: ServerContext): Promise<Response> {
  const body = parseBody(tokenizeBody, await readJson(raw, settings.limits.bodyBytes))
  const { vocabulary } = await spelling()
  const bos = (body.add_special_tokens ?? true) && vocabulary.addsBegin
  const tokens = Array.from(await model.tokenize(body.prompt, { bos }))
  return Response.json({ tokens, count: tokens.length, max_model_len: model.info.config.context })
}

async function detokenize({ raw }: ApiRequest, { model, settings }: ServerContext): Promise<Response> {
  const { tokens } = parseBody(detokenizeBody, await readJson(raw, settings.limits.bodyBytes))
  try {
    return Response.json({ prompt: await model.detokenize(tokens) })
  } catch (thrown) {
    throw apiError(thrown, "tokens")
  }
}

/** The conversation as the model reads it. */
async function applyTemplate({ raw }: ApiRequest, { model, settings }: ServerContext): Promise<Response> {
  const { messages } = parseBody(chatBody, await readJson(raw, settings.limits.bodyBytes))
  try {
    const tokens = Array.from(await model.encodePrompt(messages as ChatMessage[]))
    return Response.json({ prompt: await model.detokenize(tokens), tokens })
  } catch (thrown) {
    throw apiError(thrown, "messages")
  }
}

async function info(_: ApiRequest, { spelling }: ServerContext): Promise<Response> {
  const { vocabulary, text } = await spelling()
  const { begin, ending, ends, chatTemplate, addsBegin } = vocabulary
  const spelt = (id: number | undefined) => (id === undefined ? null : text(id))
  return Response.json({
    ...{ bos_token: spelt(begin), eos_token: spelt(ending[0]), pad_token: spelt(ending[0]) },
    ...{ bos_token_id: begin ?? null, eos_token_id: ending[0] ?? null, eos_token_ids: ending },
    ...{ vocab_size: ends.length, add_bos_token: addsBegin, chat_template: chatTemplate ?? null },
  })
}

export const tokenRoutes: readonly Route[] = [
  { method: "POST", path: "/tokenize", summary: "The tokens of a text.", body: tokenizeBody, handle: tokenize },
  { method: "POST", path: "/detokenize", summary: "The text of tokens.", body: detokenizeBody, handle: detokenize },
  {
    method: "POST",
    path: "/apply-template",
    summary: "A conversation as the model reads it.",
    body: chatBody,
    handle: applyTemplate,
  },
  { method: "GET", path: "/tokenizer_info", summary: "Special tokens and chat template.", handle: info },
]
