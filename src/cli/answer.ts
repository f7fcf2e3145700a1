/** One answer: streamed to people as it comes, and shaped for JSON. */
import type { Model } from "../generate/model.ts"
import type { GenerateOptions, GenerateResult, PromptInput } from "../generate/types.ts"
import { type Output, rounded } from "./output.ts"
import { formatSeconds } from "./terminal.ts"

/** With --json nothing is written here; else the text is, as it becomes certain, accepted drafts in green. */
export async function answer(
  model: Model,
  prompt: PromptInput,
  options: GenerateOptions,
  output: Output,
): Promise<GenerateResult> {
  if (output.json) return model.generate(prompt, options)
  const run = model.stream(prompt, options)
  const several = (options.n ?? 1) > 1
  let last = "\n"
  for (;;) {
    const next = await run.next()
    if (next.done) {
      if (last !== "\n") output.text("\n")
      return next.value
    }
    const event = next.value
    if (event.type === "branch-started" && several) {
      if (last !== "\n") output.text("\n")
      last = "\n"
      output.note(`── sample ${event.branch + 1} of ${options.n} ──`)
    }
    if (event.type !== "text-appended" || event.text === "") continue
    output.text(event.text, event.drafted ? "green" : undefined)
    last = event.text.at(-1)!
  }
}

/** The contract's object. */
export function resultObject(result: GenerateResult): Record<string, unknown> {
  const { choices, timings, ...plain } = result
  const times = Object.entries(timings).map(([name, value]) => [name, rounded(value)])
  return {
    ...plain,
    timings: Object.fromEntries(times),
    ...(choices === undefined ? {} : { choices: choices.map(resultObject) }),
  }
}

/** A line for people about each answer. */
export const summaries = (result: GenerateResult): string => (result.choices ?? [result]).map(summary).join("\n")

export function summary({ tokens, promptTokens, passes, timings, finishReason, speculation }: GenerateResult): string {
  const speed = timings.tokensPerSecond > 0 ? ` · ${timings.tokensPerSecond.toFixed(1)} tokens/s` : ""
  const draft = passes.draft > 0 ? ` + ${passes.draft} draft` : ""
  const rounds = speculation
    ? ` · ${count(speculation.rounds, "round")} of ${speculation.meanAcceptedLength.toFixed(2)} tokens, ${speculation.accepted} of ${speculation.drafted} drafted accepted`
    : ""
  const end = finishReason === "stop" ? "" : finishReason === "length" ? " · length limit" : " · aborted"
  return (
    `${count(promptTokens, "prompt token")} → ${count(tokens.length, "token")}${speed}` +
    ` · ${count(passes.target, "pass", "passes")}${draft}${rounds} · first token after ${formatSeconds(timings.firstTokenMs)}${end}`
  )
}

const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`
