/** Answers a file of prompts one after another; a line that fails is reported and the others go on. */
import { asForerunError } from "../base/errors.ts"
import type { Model } from "../generate/model.ts"
import { predictionFor } from "../generate/prediction.ts"
import type { GenerateOptions, GenerateResult } from "../generate/types.ts"
import type { ChatMessage } from "../text/chat-template.ts"
import { answer, resultObject, summaries } from "./answer.ts"
import type { Output } from "./output.ts"
import { isBad, type PromptItem, type PromptLine } from "./prompts-file.ts"

/** @returns 1 if any line failed, else 0 */
export async function answerPrompts(
  model: Model,
  lines: readonly PromptLine[],
  options: GenerateOptions,
  output: Output,
): Promise<number> {
  let failed = false
  for (const line of lines) {
    if (options.signal?.aborted) break
    if (isBad(line)) {
      output.failure(line)
      failed = true
      continue
    }
    try {
      if (!output.json) output.note(`── ${line.id} ──`)
      const results = await answerItem(model, line, options, output)
      if (output.json) output.object(lineObject(line, results))
      else for (const result of results) output.note(summaries(result))
    } catch (thrown) {
      output.failure({ id: line.id, line: line.line, error: asForerunError(thrown) })
      failed = true
    }
  }
  return failed ? 1 : 0
}

/** Of several turns, the first one's result lies at the top and all of them under `turns`. */
export function lineObject(item: PromptItem, results: readonly GenerateResult[]): Record<string, unknown> {
  const objects = results.map(resultObject)
  return {
    id: item.id,
    ...(item.category === undefined ? {} : { category: item.category }),
    ...objects[0],
    ...("turns" in item.prompt ? { turns: objects } : {}),
  }
}

async function answerItem(
  model: Model,
  item: PromptItem,
  options: GenerateOptions,
  output: Output,
): Promise<GenerateResult[]> {
  const { prompt } = item
  const first = { ...options, ...(await predictionFor(options.method, item)) }
  if ("text" in prompt) return [await answer(model, prompt.text, first, output)]
  if ("messages" in prompt) return [await answer(model, prompt.messages, first, output)]
  const isChat = model.info.chatTemplate && !options.raw
  const results: GenerateResult[] = []
  const messages: ChatMessage[] = []
  let text = ""
  for (const [index, turn] of prompt.turns.entries()) {
    messages.push({ role: "user", content: turn })
    text += turn
    const result = await answer(model, isChat ? messages : text, index === 0 ? first : options, output)
    results.push(result)
    if (result.finishReason === "abort") break
    messages.push({ role: "assistant", content: result.text })
    text += `${result.text}\n` // without a template, the turns simply follow each other
  }
  return results
}
