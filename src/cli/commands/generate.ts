/** forerun generate: one prompt, many from a file, or standard input. */
import { writeText } from "../../base/write-text.ts"
import { timelinePicture } from "../../bench/report/timeline.ts"
import type { GenerateOptions } from "../../generate/types.ts"
import { answer, resultObject, summaries } from "../answer.ts"
import { answerPrompts } from "../answer-prompts.ts"
import type { GenerateFlags } from "../flags.ts"
import { generateOptions } from "../generate-options.ts"
import { type Output, usageError } from "../output.ts"
import { isBad, readPrompts } from "../prompts-file.ts"
import { readPrompt, readText } from "../read-text.ts"
import { withModel } from "../with-model.ts"

interface Flags extends GenerateFlags {
  readonly prompts?: string
  readonly limit?: number
  readonly timeline?: string
}

export async function generate([given]: readonly (string | undefined)[], flags: Flags, output: Output) {
  const options = await generateOptions(flags)
  const { timeline } = flags
  if (timeline !== undefined && (flags.prompts !== undefined || (flags.samples ?? 1) > 1))
    throw usageError("--timeline is for one answer to one prompt")
  if (flags.prompts !== undefined) return generateMany(given, flags, options, output)
  if (flags.limit !== undefined) throw usageError("--limit goes with --prompts")
  if (given === undefined && process.stdin.isTTY)
    throw usageError("there is no prompt", 'give one: forerun generate "…", or pipe it in, or use --prompts file.jsonl')
  const prompt = given === undefined || given === "-" ? await readPrompt() : given
  if (given === undefined && prompt === "") throw usageError("there is no prompt, and standard input is empty")
  return withModel(flags, output, async (model, signal) => {
    const asked = { ...options, signal, ...(timeline === undefined ? {} : { timeline: true }) }
    const result = await answer(model, prompt, asked, output)
    if (timeline !== undefined) {
      await writeText(timeline, timelinePicture(result.timeline!, `${result.method}, ${model.info.weights}`))
      output.note(`timeline ${timeline}`)
    }
    if (output.json) output.object(resultObject(result))
    else output.note(summaries(result))
    return 0
  })
}

async function generateMany(given: string | undefined, flags: Flags, options: GenerateOptions, output: Output) {
  if (given !== undefined) throw usageError("a prompt and --prompts exclude each other")
  const lines = readPrompts(await readText(flags.prompts!), flags.limit)
  if (lines.length === 0) throw usageError(`${flags.prompts} holds no prompts`)
  if (lines.every(isBad)) {
    for (const line of lines) output.failure(line)
    return 1
  }
  return withModel(flags, output, (model, signal) => answerPrompts(model, lines, { ...options, signal }, output))
}
