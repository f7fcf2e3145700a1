/** The AI SDK's options of a call as the body of a chat, and what of them is not done here. Pure. */
import type {
  JSONValue,
  LanguageModelV3CallOptions,
  LanguageModelV3ToolChoice,
  LanguageModelV4CallOptions,
  SharedV3Warning,
} from "@ai-sdk/provider"
import { toMessages } from "./messages.ts"

export type CallOptions = LanguageModelV3CallOptions | LanguageModelV4CallOptions

/** What goes under `forerun` in providerOptions. */
export type ForerunOptions = {
  /** A decoding method, by name or with its options. */
  readonly decoding?: string | { readonly method: string; readonly [option: string]: JSONValue }
  /** The expected text: drafted from, never trusted. */
  readonly prediction?: string
  readonly minP?: number
  readonly repetitionPenalty?: number
  readonly logitBias?: { readonly [token: string]: number }
  /** Log-probabilities with as many alternatives, 0 to 20; they come back in providerMetadata. */
  readonly logprobs?: number
  /** Several calls of tools in one answer; default true. */
  readonly parallelToolCalls?: boolean
}

export interface ChatRequest {
  readonly body: Readonly<Record<string, unknown>>
  readonly warnings: SharedV3Warning[]
}

type Format = NonNullable<CallOptions["responseFormat"]>

function formatOf(format: Format | undefined): object | undefined {
  if (format === undefined || format.type === "text") return undefined
  const { schema, name = "response", description } = format
  if (schema === undefined) return { type: "json_object" }
  return { type: "json_schema", json_schema: { name: asName(name), description, schema, strict: true } }
}
const asName = (name: string): string => name.replaceAll(/[^\w-]/g, "_").slice(0, 64) || "response"

/** @throws UnsupportedFunctionalityError */
export function chatRequest(options: CallOptions, model: string): ChatRequest {
  const warnings: SharedV3Warning[] = []
  const body = {
    model,
    messages: toMessages(options.prompt, warnings),
    max_completion_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    seed: options.seed,
    stop: options.stopSequences?.length ? options.stopSequences : undefined,
    response_format: formatOf(options.responseFormat),
    ...toolsOf(options, warnings),
    ...ownOptions(options.providerOptions?.forerun ?? {}, warnings),
  }
  const reasoning = "reasoning" in options ? options.reasoning : undefined
  if (reasoning !== undefined && reasoning !== "provider-default" && reasoning !== "none")
    warnings.push({ type: "unsupported", feature: "reasoning", details: "the model answers as it is" })
  return { body, warnings }
}

function toolsOf({ tools = [], toolChoice }: CallOptions, warnings: SharedV3Warning[]): object {
  const functions: object[] = []
  for (const tool of tools) {
    if (tool.type !== "function") {
      warnings.push({ type: "unsupported", feature: `provider tool ${tool.id}` })
      continue
    }
    const { name, description, inputSchema, inputExamples } = tool
    if (inputExamples?.length) warnings.push({ type: "unsupported", feature: `examples of the tool ${name}` })
    functions.push({ type: "function", function: { name, description, parameters: inputSchema, strict: true } })
  }
  if (functions.length === 0) return {}
  return { tools: functions, tool_choice: toolChoice === undefined ? "auto" : choiceOf(toolChoice) }
}

const choiceOf = (choice: LanguageModelV3ToolChoice): unknown =>
  choice.type === "tool" ? { type: "function", function: { name: choice.toolName } } : choice.type

/** Our options to the server's parameters. */
const own: Readonly<Record<keyof ForerunOptions, (value: JSONValue | undefined) => object>> = {
  decoding: (decoding) => ({ decoding }),
  prediction: (content) => ({ prediction: { type: "content", content } }),
  minP: (min_p) => ({ min_p }),
  repetitionPenalty: (repetition_penalty) => ({ repetition_penalty }),
  logitBias: (logit_bias) => ({ logit_bias }),
  logprobs: (top_logprobs) => ({ logprobs: true, top_logprobs }),
  parallelToolCalls: (parallel_tool_calls) => ({ parallel_tool_calls }),
}

function ownOptions(given: Readonly<Record<string, JSONValue | undefined>>, warnings: SharedV3Warning[]): object {
  const parameters = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (Object.hasOwn(own, name)) return own[name as keyof ForerunOptions](value)
      warnings.push({ type: "unsupported", feature: `providerOptions.forerun.${name}` })
      return {}
    })
  return Object.assign({}, ...parameters)
}
