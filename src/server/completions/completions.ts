/** POST /v1/chat/completions and /v1/completions. */
import { randomUUID } from "node:crypto"
import type { RequestUrl } from "../../jobs/request.ts"
import { apiError } from "../api-error.ts"
import { chatBody, completionBody } from "../bodies.ts"
import type { ApiRequest, Route, ServerContext } from "../context.ts"
import { fingerprint } from "../fingerprint.ts"
import { readJson } from "../read-body.ts"
import { prepare } from "./prepare.ts"
import { answerStreamed, promptName } from "./streamed.ts"
import { answerWhole } from "./whole.ts"

const complete =
  (url: RequestUrl) =>
  async (request: ApiRequest, context: ServerContext): Promise<Response> => {
    const { settings, model } = context
    const prepared = await prepare(url, await readJson(request.raw, settings.limits.bodyBytes), context, request)
    const named = {
      id: `${url === "/v1/completions" ? "cmpl" : "chatcmpl"}-${randomUUID().replaceAll("-", "")}`,
      created: Math.floor(Date.now() / 1000),
      model: settings.name,
      system_fingerprint: fingerprint(model.info),
    }
    const answer = prepared.stream ? answerStreamed : answerWhole
    try {
      const response = await answer(prepared, request, { context, named })
      if (prepared.ignored.length > 0) response.headers.set("forerun-ignored", headerList(prepared.ignored))
      return response
    } catch (thrown) {
      throw apiError(thrown, promptName({ url }))
    }
  }

/** Names as a header may hold them. */
const headerList = (names: readonly string[]): string =>
  names
    .slice(0, 20)
    .map((name) => encodeURIComponent(name.slice(0, 60)))
    .join(", ")

const chat = complete("/v1/chat/completions")
const plain = complete("/v1/completions")

export const completionRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/chat/completions",
    summary: "The answer to a conversation.",
    body: chatBody,
    handle: chat,
  },
  { method: "POST", path: "/chat/completions", summary: "As /v1/chat/completions.", body: chatBody, handle: chat },
  {
    method: "POST",
    path: "/v1/completions",
    summary: "The continuation of texts or tokens.",
    body: completionBody,
    handle: plain,
  },
  { method: "POST", path: "/completions", summary: "As /v1/completions.", body: completionBody, handle: plain },
]
