/** forerun chat: a conversation on the terminal, or over a pipe, a message a line. */
import { createInterface } from "node:readline"
import { asForerunError, ForerunError } from "../../base/errors.ts"
import type { Model } from "../../generate/model.ts"
import type { GenerateOptions } from "../../generate/types.ts"
import type { ChatMessage } from "../../text/chat-template.ts"
import { answer, resultObject, summary } from "../answer.ts"
import type { GenerateFlags } from "../flags.ts"
import { generateOptions } from "../generate-options.ts"
import { openModel } from "../open-model.ts"
import { type Output, usageError } from "../output.ts"
import { styled } from "../terminal.ts"

const help = "/reset forgets the conversation · /system <text> sets the system message · /exit or Ctrl-D leaves"

export async function chat(_: readonly unknown[], flags: GenerateFlags, output: Output) {
  if (flags.samples !== undefined) throw usageError("a chat goes on with one answer, so --samples makes no sense here")
  if (flags.predictionFile !== undefined) throw usageError("--prediction-file goes with one prompt, not with a chat")
  if (flags.raw) throw usageError("chat needs the chat template, so --raw makes no sense here")
  const { system, ...options } = await generateOptions(flags)
  const model = await openModel(flags, output, new AbortController().signal)
  try {
    if (!model.info.chatTemplate)
      throw new ForerunError("E_TEMPLATE", "this model brings no chat template, so it cannot chat", {
        hint: "forerun generate continues plain text with it",
      })
    output.note(help)
    return await converse(model, options, system, output)
  } finally {
    await model.dispose()
  }
}

async function converse(model: Model, options: GenerateOptions, system: string | undefined, output: Output) {
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true
  // Prompts and echo go to standard error, so that standard output holds the answers alone.
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: isTerminal,
    prompt: isTerminal ? `${styled("›", "bold", process.stderr)} ` : "",
  })
  let messages: ChatMessage[] = []
  let running: AbortController | undefined
  let code = 0
  const interrupt = () => {
    if (running) running.abort()
    else if (isTerminal) {
      output.note(`\n${help}`)
      lines.prompt()
    } else {
      code = 130
      lines.close()
    }
  }
  process.on("SIGINT", interrupt)
  lines.on("SIGINT", interrupt) // readline holds the terminal in raw mode and reports Ctrl-C itself
  try {
    lines.prompt()
    for await (const line of lines) {
      const [, command, rest = ""] = /^\/(\w+)\s*(.*)$/s.exec(line.trim()) ?? []
      if (command === "exit" || command === "quit") break
      if (command === "reset") messages = []
      else if (command === "system") {
        system = rest === "" ? undefined : rest
        messages = []
        output.note(system === undefined ? "no system message" : "system message set; the conversation starts afresh")
      } else if (command !== undefined) output.note(help)
      else if (line.trim() !== "") {
        messages.push({ role: "user", content: line })
        running = new AbortController()
        const reply = await say(
          model,
          messages,
          { ...options, ...(system === undefined ? {} : { system }), signal: running.signal },
          output,
        )
        running = undefined
        if (reply === undefined) messages.pop()
        else messages.push({ role: "assistant", content: reply })
      }
      lines.prompt()
    }
  } finally {
    process.removeListener("SIGINT", interrupt)
    lines.close()
  }
  return code
}

/** The reply, or undefined when it failed: the conversation goes on as if the message had not been sent. */
async function say(model: Model, messages: readonly ChatMessage[], options: GenerateOptions, output: Output) {
  try {
    const result = await answer(model, messages, options, output)
    if (output.json) output.object(resultObject(result))
    else output.note(summary(result))
    return result.text
  } catch (thrown) {
    output.error(asForerunError(thrown))
    return undefined
  }
}
