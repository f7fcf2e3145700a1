/** What a request's body asks for, in our terms. Every parameter is honoured, or refused with its name. */
import { type ErrorCode, ForerunError } from "../base/errors.ts"
import { validateSampling } from "../decoding/sampling-options.ts"
import { createStopper } from "../decoding/stop.ts"
import type { GenerateOptions, PromptInput } from "../generate/types.ts"
import type { ChatMessage } from "../text/chat-template.ts"
import { isObject, type JobRequest } from "./request.ts"
import { grammarOf } from "./response-format.ts"

/** A request that is at fault; `param` is the part of its body. */
export class RequestError extends ForerunError {
  readonly param: string

  constructor(param: string, message: string, code: ErrorCode = "E_OPTION") {
    super(code, message)
    this.param = param
  }
}

export interface Answerable {
  readonly prompt: PromptInput
  readonly options: GenerateOptions
  /** Names in the body that nobody here knows; only where they are not refused. */
  readonly ignored?: readonly string[]
}

export interface BodyRules {
  /** Width of the logits; default: any. */
  readonly vocabulary?: number
  /** Names that are not known are listed instead of refused, unless other servers let them change the answer. */
  readonly ignoreUnknown?: boolean
}

/** Parameters that are options under another name. */
export const renamed: Readonly<Record<string, keyof GenerateOptions>> = {
  temperature: "temperature",
  top_p: "topP",
  top_k: "topK",
  min_p: "minP",
  repetition_penalty: "repetitionPenalty",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty",
  logit_bias: "logitBias",
  seed: "seed",
}

/** They say something about the request, nothing about the answer; `model` is the one that the command line names. */
const withoutEffect = ["model", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"]

/** Accepted with the one value that means "as usual". */
const fixed: Readonly<Record<string, (value: unknown) => boolean>> = {
  best_of: (value) => value === 1,
  echo: (value) => value === false,
  stream: (value) => value === false,
  suffix: (value) => value === "",
  tools: (value) => Array.isArray(value) && value.length === 0,
  tool_choice: (value) => value === "none",
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === "text",
}

/** Of other servers and of other requests: to pass over these would give another answer than was asked for. */
const changing = new Set([
  ...["messages", "prompt", "input", "functions", "function_call", "audio", "max_completion_tokens"],
  ...["guided_json", "guided_regex", "guided_grammar", "guided_choice", "grammar", "json_schema", "structured_outputs"],
  ...[
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "bad_words",
    "typical_p",
    "top_a",
    "tfs_z",
    "mirostat",
    "xtc_probability",
  ],
  ...["dry_multiplier", "length_penalty", "use_beam_search", "num_beams", "top_logprobs", "truncate_prompt_tokens"],
  ...["chat_template", "chat_template_kwargs", "documents", "enable_thinking"],
  ...["speculative_config", "draft_model"], // here: `decoding`
])

/** Every vocabulary is smaller; the model's own is checked when the request runs. */
const anyVocabulary = 2 ** 31 - 1

/**
 * @param defaults for what the body leaves open
 * @throws RequestError
 */
export function answerable(request: JobRequest, defaults: GenerateOptions = {}, rules: BodyRules = {}): Answerable {
  const { url, body } = request
  const isChat = url === "/v1/chat/completions"
  const given = Object.entries(body).filter(([, value]) => value !== null && value !== undefined)
  const left = new Map(given)
  const take = (name: string): unknown => {
    const value = left.get(name)
    left.delete(name)
    return value
  }
  const prompt = requestPrompt(request)
  left.delete(isChat ? "messages" : "prompt")
  const options: Record<string, unknown> = { ...defaults, ...(isChat ? {} : { raw: true }) }
  for (const [name, option] of Object.entries(renamed)) if (left.has(name)) options[option] = take(name)
  const lengths = [isChat ? take("max_completion_tokens") : undefined, take("max_tokens")]
  const maxTokens = lengths.find((length) => length !== undefined)
  if (maxTokens !== undefined) options.maxTokens = wholeNumber("max_tokens", maxTokens, [1, 2 ** 31])
  const n = take("n")
  if (n !== undefined) options.n = wholeNumber("n", n, [1, 128])
  const stop = take("stop")
  if (stop !== undefined) options.stop = typeof stop === "string" ? [stop] : stop
  const logprobs = isChat ? chatLogprobs(take("logprobs"), take("top_logprobs")) : take("logprobs")
  if (logprobs !== undefined) options.logprobs = wholeNumber("logprobs", logprobs, [0, 20])
  const decoding = take("decoding")
  if (decoding !== undefined) Object.assign(options, decodingOptions(decoding))
  const prediction = take("prediction")
  if (prediction !== undefined) options.prediction = predictedText(prediction)
  const format = take("response_format")
  if (format !== undefined)
    attempt("response_format", () => {
      const grammar = grammarOf(format)
      if (grammar !== undefined) options.grammar = grammar
    })
  for (const name of withoutEffect) left.delete(name)
  const ignored: string[] = []
  for (const [name, value] of left) {
    const isKnown = Object.hasOwn(fixed, name)
    if (isKnown && !fixed[name]!(value)) throw new RequestError(name, `${name} ${shown(value)} is not supported`)
    if (!isKnown && rules.ignoreUnknown && !changing.has(name)) ignored.push(name)
    else if (!isKnown) throw new RequestError(name, `there is no parameter ${JSON.stringify(name)}`)
  }
  checkValues(options, rules.vocabulary ?? anyVocabulary)
  return { prompt, options, ...(ignored.length > 0 ? { ignored } : {}) }
}

const shown = (value: unknown): string => JSON.stringify(value).slice(0, 80)

/** A method's name, or `{ method, ...its options }`. */
function decodingOptions(decoding: unknown): Pick<GenerateOptions, "method" | "options"> {
  if (typeof decoding === "string") return { method: decoding, options: {} }
  if (isObject(decoding) && typeof decoding.method === "string") {
    const { method, ...options } = decoding
    return { method: decoding.method, options }
  }
  throw new RequestError("decoding", "decoding must be the name of a method, or {method, ...options}")
}

/** OpenAI's `{type: "content", content}`, the content a text or text parts. */
function predictedText(prediction: unknown): string {
  const content = isObject(prediction) && prediction.type === "content" ? prediction.content : undefined
  if (typeof content === "string") return content
  const parts: readonly unknown[] = Array.isArray(content) ? content : [undefined]
  const texts = parts.map((part) => (isObject(part) && part.type === "text" ? part.text : undefined))
  if (texts.every((text) => typeof text === "string")) return texts.join("")
  throw new RequestError("prediction", 'prediction must be {type: "content", content}, the content a text')
}

function checkValues(options: GenerateOptions, vocabulary: number): void {
  for (const [param, option] of Object.entries(renamed))
    attempt(param, () => validateSampling({ [option]: options[option] }, vocabulary))
  const decode = { push: () => "", flush: () => "" }
  attempt("stop", () => createStopper({ stopStrings: options.stop ?? [], decode }))
}

function attempt(param: string, check: () => void): void {
  try {
    check()
  } catch (thrown) {
    throw new RequestError(param, (thrown as Error).message)
  }
}

/** @throws RequestError */
export const requestPrompt = ({ url, body }: JobRequest): PromptInput =>
  url === "/v1/chat/completions" ? messagesOf(body.messages) : promptOf(body.prompt)

function messagesOf(messages: unknown): readonly ChatMessage[] {
  const fits = Array.isArray(messages) && messages.length > 0 && messages.every((one) => isObject(one) && "role" in one)
  if (fits) return (messages as ChatMessage[]).map(asTemplatesKnow)
  throw new RequestError("messages", "messages must be a list of {role, content}, not empty", "E_INPUT")
}

/** OpenAI's later name of the system, refusals as the texts they are, and no content as an empty one. */
function asTemplatesKnow(message: ChatMessage): ChatMessage {
  const role = message.role === "developer" ? "system" : message.role
  const { content } = message
  if (!Array.isArray(content)) return { ...message, role, content: content ?? "" }
  const parts = content.map((part: unknown) =>
    isObject(part) && part.type === "refusal" ? { type: "text", text: part.refusal } : part,
  )
  return { ...message, role, content: parts as NonNullable<ChatMessage["content"]> }
}

/** A text, token ids, or a list with one of them. */
function promptOf(prompt: unknown): PromptInput {
  const isIds = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length > 0 && value.every((id) => typeof id === "number")
  const only = Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] !== "number" ? prompt[0] : prompt
  if (typeof only === "string") return only
  if (isIds(only)) return { tokens: only }
  const hint = Array.isArray(prompt) && prompt.length > 1 ? ": give each prompt a line of its own" : ""
  throw new RequestError("prompt", `the prompt must be one text or one list of token ids${hint}`, "E_INPUT")
}

function chatLogprobs(wanted: unknown, top: unknown): unknown {
  if (wanted !== undefined && typeof wanted !== "boolean")
    throw new RequestError("logprobs", "logprobs must be true or false")
  if (wanted === true) return top ?? 0
  if (top === undefined) return undefined
  throw new RequestError("top_logprobs", "top_logprobs needs logprobs: true")
}

function wholeNumber(param: string, value: unknown, [low, high]: readonly [number, number]): number {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number
  throw new RequestError(param, `${param} must be an integer from ${low} to ${high}; found ${JSON.stringify(value)}`)
}
