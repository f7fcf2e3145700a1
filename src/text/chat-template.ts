/** Chat messages to prompt text and tokens, by the model's own Jinja template; user text cannot forge control tokens. */
import { ForerunError } from "../base/errors.ts"
import { createBreaker, unusedCharacter } from "./control-text.ts"
import { renderInWorker } from "./template-worker.ts"
import type { Tokenizer } from "./tokenizer.ts"

export interface ChatPart {
  readonly type: "text"
  readonly text: string
}

export interface ChatMessage {
  readonly role: string
  /** Text, or OpenAI's list of text parts (joined without a separator). */
  readonly content?: string | readonly ChatPart[]
  /** Whatever else the template reads: name, tool_calls, … */
  readonly [field: string]: unknown
}

export interface ChatOptions {
  /** Spellings of the model's begin and end tokens, as the template may print them. */
  readonly bosToken?: string
  readonly eosToken?: string
  /** End with the header of the assistant's answer; default true. */
  readonly addGenerationPrompt?: boolean
  readonly tools?: readonly unknown[]
  /** Further variables of the template, such as enable_thinking; plain data. */
  readonly variables?: Readonly<Record<string, unknown>>
  /** Milliseconds of rendering; default 2000. */
  readonly deadlineMs?: number
  /** UTF-16 units of output; default 4 MiB. */
  readonly maxOutputChars?: number
}

const maxTemplate = 1 << 20 // characters; the longest known template has 60,000

/** Whether a model brings a usable chat template. */
export const hasChatTemplate = (template: string | undefined): template is string =>
  template !== undefined && template.trim() !== ""

/**
 * The prompt text of a conversation. Throws E_TEMPLATE (no template; it failed, took too long, printed too much), E_INPUT
 * (malformed messages), E_OPTION.
 */
export async function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<string> {
  if (!hasChatTemplate(template)) {
    throw new ForerunError("E_TEMPLATE", "a chat needs the model's chat template, but this model brings none", {
      hint: "use --raw to continue plain text instead",
    })
  }
  if (template.length > maxTemplate) {
    throw new ForerunError(
      "E_TEMPLATE",
      `the chat template has ${template.length} characters; at most ${maxTemplate} are read`,
    )
  }
  return renderInWorker({
    template,
    variables: {
      ...options.variables,
      messages: checkMessages(messages),
      add_generation_prompt: options.addGenerationPrompt ?? true,
      // Templates are written for Python, where these two are always given, if only as None (here null).
      tools: options.tools ?? null,
      documents: options.variables?.documents ?? null,
      ...(options.bosToken === undefined ? {} : { bos_token: options.bosToken }),
      ...(options.eosToken === undefined ? {} : { eos_token: options.eosToken }),
    },
    deadlineMs: positive(options.deadlineMs ?? 2000, "deadlineMs"),
    maxOutputChars: positive(options.maxOutputChars ?? 4 << 20, "maxOutputChars"),
  })
}

/**
 * The prompt of a conversation as text and tokens. Control tokens come only from the template: where messages or tools
 * spell one, it stays text (a control token of a single character cannot be protected). Nothing is added in front: templates print their own begin token. Errors as renderChat's.
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<{ text: string; tokens: Int32Array }> {
  const spelled = (id: number | undefined) =>
    id === undefined ? undefined : tokenizer.decode([id], { continues: true })
  const bosToken = options.bosToken ?? spelled(tokenizer.bosToken)
  const eosToken = options.eosToken ?? spelled(tokenizer.eosTokens[0])
  const checked = checkMessages(messages)
  const sentinel = unusedCharacter(template ?? "", checked, options.tools, options.variables)
  const guard = createBreaker(tokenizer.special.keys(), sentinel)
  const rendered = await renderChat(template, guard(checked), {
    ...options,
    ...(options.tools === undefined ? {} : { tools: guard(options.tools) }),
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosToken === undefined ? {} : { eosToken }),
  })
  return {
    text: rendered.replaceAll(sentinel, ""),
    tokens: tokenizer.encode(rendered, { special: true, sentinel }),
  }
}

function checkMessages(messages: readonly ChatMessage[]): ChatMessage[] {
  if (!Array.isArray(messages)) throw new ForerunError("E_INPUT", "messages must be a list")
  return messages.map((message: ChatMessage, i) => {
    if (typeof message !== "object" || message === null || typeof message.role !== "string") {
      throw new ForerunError("E_INPUT", `messages[${i}] must be an object with a role`)
    }
    const content: unknown = message.content
    // An assistant message with tool calls may have no content (undefined, or null in JSON).
    if (content === undefined || content === null || typeof content === "string") return message
    if (!Array.isArray(content)) {
      throw new ForerunError("E_INPUT", `messages[${i}].content must be a text or a list of text parts`)
    }
    const texts = content.map((part: Partial<ChatPart> | undefined, j) => {
      if (part?.type === "text" && typeof part.text === "string") return part.text
      throw new ForerunError(
        "E_INPUT",
        `messages[${i}].content[${j}] must be {type: "text", text}: only text is supported`,
      )
    })
    return { ...message, content: texts.join("") }
  })
}

function positive(value: number, name: string): number {
  if (Number.isFinite(value) && value > 0 && value <= 2 ** 31 - 1) return value
  throw new ForerunError("E_OPTION", `${name} must be a positive number, found ${String(value)}`)
}
