/** From the body of a completion to what the model is asked. */

import { checkGrammar, type Grammar } from "../../generate/grammar/grammar.ts"
import type { GenerateOptions, PromptInput } from "../../generate/types.ts"
import { chooseMethod } from "../../jobs/choose-method.ts"
import type { RequestUrl } from "../../jobs/request.ts"
import { answerable, RequestError } from "../../jobs/request-options.ts"
import type { ChatMessage } from "../../text/chat-template.ts"
import { ApiError } from "../api-error.ts"
import { chatBody, completionBody, parseBody } from "../bodies.ts"
import type { ApiRequest, ServerContext } from "../context.ts"
import { createToolReader, plainReader, type TextReader } from "../tools/tool-reader.ts"
import { type ToolRequest, toolGrammar, toolPrompt, toolRequest } from "../tools/tool-request.ts"

export interface Prepared {
  readonly url: RequestUrl
  readonly prompts: readonly PromptInput[]
  readonly options: GenerateOptions
  /** Answers to each prompt. */
  readonly n: number
  readonly stream: boolean
  readonly includeUsage: boolean
  /** The prompt is a part of the answer. */
  readonly echo: boolean
  /** Nothing is generated: only the prompt is wanted. */
  readonly isPromptOnly: boolean
  /** Takes an answer's text apart: one for each answer. */
  readonly reader: () => TextReader
  /** Names in the body that say nothing here. */
  readonly ignored: readonly string[]
}

type Body = Readonly<Record<string, unknown>>

/** @throws RequestError, ApiError 404 */
export async function prepare(
  url: RequestUrl,
  body: Body,
  context: ServerContext,
  { caller }: Pick<ApiRequest, "caller">,
): Promise<Prepared> {
  const isChat = url === "/v1/chat/completions"
  const checked: Body = parseBody(isChat ? chatBody : completionBody, body)
  checkModel(checked.model, context)
  const { stream, stream_options: streamOptions, echo, max_tokens: length, ...others } = checked
  const { tools: _, tool_choice: __, parallel_tool_calls: ___, ...rest } = isChat ? others : { ...others }
  const calling = isChat ? toolRequest(checked) : undefined
  const isPromptOnly = length === 0 && echo === true
  const prompts = isChat ? [] : promptsOf(checked.prompt)
  const request = {
    ...{ position: 0, customId: "", url },
    body: { ...rest, ...(isChat ? {} : { prompt: prompts[0] }), ...(isPromptOnly ? {} : { max_tokens: length }) },
  }
  const { model, settings } = context
  const { vocabulary, context: longest } = model.info.config
  const defaults = { maxTokens: isChat ? longest : 16, ...settings.defaults }
  const { prompt, options, ignored = [] } = answerable(request, defaults, { vocabulary, ignoreUnknown: true })
  const n = options.n ?? 1
  const answers = n * Math.max(1, prompts.length)
  if (answers > settings.limits.answers)
    throw new RequestError("n", `at most ${settings.limits.answers} answers to one request; found ${answers}`)
  const chosen = await chooseMethod(options, checked)
  const { chatTemplate } = (await context.spelling()).vocabulary
  const told = isChat ? toolPrompt(prompt as ChatMessage[], calling?.tools ?? [], chatTemplate) : undefined
  return {
    url,
    prompts: told ? [told.messages] : prompts.map((one) => (typeof one === "string" ? one : { tokens: one })),
    options: {
      ...chosen,
      prefixSalt: caller, // what one caller's prompts begin with is nothing that another can find out
      ...(told?.tools ? { tools: told.tools } : {}),
      ...(calling ? { grammar: checkedTools(calling) } : {}),
    },
    reader: calling ? () => createToolReader() : () => plainReader,
    n,
    stream: stream === true,
    includeUsage: (streamOptions as Body | undefined | null)?.include_usage === true,
    echo: echo === true,
    isPromptOnly,
    ignored,
  }
}

/** @throws RequestError */
function checkedTools(calling: ToolRequest): Grammar {
  try {
    for (const { function: tool } of calling.tools) if (tool.parameters) checkGrammar({ jsonSchema: tool.parameters })
    return checkGrammar(toolGrammar(calling))
  } catch (thrown) {
    throw new RequestError("tools", (thrown as Error).message, "E_GRAMMAR")
  }
}

/** @throws ApiError 404 */
export function checkModel(name: unknown, { settings }: Pick<ServerContext, "settings">): void {
  if (name === undefined || name === null || name === "default" || settings.isTrusted) return
  if (name === settings.name || settings.aliases.includes(String(name))) return
  throw new ApiError(
    404,
    `the model ${JSON.stringify(String(name).slice(0, 80))} is not served here; ${settings.name} is`,
    {
      param: "model",
      code: "model_not_found",
    },
  )
}

function promptsOf(prompt: unknown): (string | number[])[] {
  if (!Array.isArray(prompt)) return [prompt as string]
  return typeof prompt[0] === "number" ? [prompt as number[]] : prompt
}
