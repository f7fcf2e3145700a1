/** From what the caller wrote to token ids: chat template, plain text, or ids as they are. */
import { ForerunError } from "../base/errors.ts"
import { type ChatMessage, encodeChat } from "../text/chat-template.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { GenerateOptions, PromptInput } from "./types.ts"

/**
 * A string becomes one user message when the model has a chat template and `raw` is not set; else plain text.
 * @throws E_INPUT, E_TEMPLATE
 */
export async function encodePrompt(
  input: PromptInput,
  tokenizer: Tokenizer,
  template: string | undefined,
  options: Pick<GenerateOptions, "raw" | "system" | "tools">,
): Promise<Int32Array> {
  if (typeof input === "string") {
    if (options.raw || template === undefined) {
      if (options.system !== undefined)
        throw new ForerunError("E_INPUT", "a system message needs a chat template, and none is used here")
      return tokenizer.encode(input, { bos: tokenizer.addsBos })
    }
    return encodePrompt([{ role: "user", content: input }], tokenizer, template, options)
  }
  if ("tokens" in input) {
    const tokens = Array.from(input.tokens)
    for (const id of tokens)
      if (!Number.isInteger(id) || id < 0 || id >= tokenizer.size)
        throw new ForerunError("E_INPUT", `token ${id} is outside the vocabulary of ${tokenizer.size}`)
    return Int32Array.from(tokens)
  }
  if (!Array.isArray(input))
    throw new ForerunError("E_INPUT", "a prompt is a string, a list of messages, or { tokens }")
  const messages: readonly ChatMessage[] =
    options.system === undefined ? input : [{ role: "system", content: options.system }, ...input]
  const spelling = (id: number | undefined) => (id === undefined ? undefined : tokenizer.decode([id]))
  const [bosToken, eosToken] = [spelling(tokenizer.bosToken), spelling(tokenizer.eosTokens[0])]
  const { tokens } = await encodeChat(tokenizer, template, messages, {
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosToken === undefined ? {} : { eosToken }),
    ...(options.tools === undefined ? {} : { tools: options.tools }),
  })
  return tokens
}
