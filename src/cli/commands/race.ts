/** forerun race: several samples of one prompt, the first to end is the answer; or of many questions, for all rules at once. */
import type { AnswerKind } from "../../decoding/answer.ts"
import type { StreamEvent } from "../../decoding/step.ts"
import type { RaceOutcome } from "../../methods/first-finish/outcome.ts"
import { raceOnServer } from "../../methods/first-finish/server-race.ts"
import { catchInterrupt } from "../interrupt.ts"
import { type Output, usageError } from "../output.ts"
import { type RaceFlags, type RaceSettings, raceSettings } from "../race-options.ts"
import { raceQuestions } from "../race-questions.ts"
import { readPrompt } from "../read-text.ts"
import { withModel } from "../with-model.ts"

export async function race([given]: readonly (string | undefined)[], flags: RaceFlags, output: Output) {
  const settings = await raceSettings(flags)
  if (flags.in !== undefined) {
    if (given !== undefined || flags.server !== undefined) throw usageError("--in excludes a prompt and --server")
    return raceQuestions(flags, settings, output)
  }
  for (const name of ["out", "limit"] as const)
    if (flags[name] !== undefined) throw usageError(`--${name} goes with --in`)
  if (given === undefined && process.stdin.isTTY) throw usageError("there is no prompt", 'give one: forerun race "…"')
  const prompt = given === undefined || given === "-" ? await readPrompt() : given
  if (prompt === "") throw usageError("the prompt is empty")
  if (flags.server !== undefined) return onServer(prompt, flags, settings, output)
  return withModel(flags, output, async (model, signal) => {
    const { raw, system } = flags
    const encoding = { ...(raw === undefined ? {} : { raw }), ...(system === undefined ? {} : { system }) }
    const tokens = await model.encodePrompt(prompt, encoding)
    tell(
      await lastOf(model.run<RaceOutcome>("first-finish", { tokens }, { ...settings.run, signal }), output),
      settings,
      output,
    )
    return 0
  })
}

/** Ctrl-C closes the connections. */
async function onServer(
  prompt: string,
  flags: RaceFlags,
  { run, options }: RaceSettings,
  output: Output,
): Promise<number> {
  if (flags.raw) throw usageError("a server applies its own chat template: --raw is for models here")
  if (!/^https?:\/\//.test(flags.server!))
    throw usageError("--server needs an address that begins with http:// or https://")
  if (options.strategy !== "first") throw usageError("on a server only the first to finish can be heard")
  if (options.schedule !== "sync" && options.schedule !== "async")
    throw usageError("a server's lanes run at its own pace: schedule=async")
  const { maxTokens, temperature, topP, seed } = run
  const system = flags.system === undefined ? [] : [{ role: "system", content: flags.system }]
  const finishText = options.stopOn === "end" ? {} : { finishText: options.thinkEnd as string }
  const messages = [...system, { role: "user", content: prompt }]
  const model = flags.serverModel ?? "default"
  const request = { url: flags.server!, model, messages, maxTokens, temperature, topP, seed, ...finishText }
  const { lanes, first, answer } = options as { lanes: number; first: number; answer: AnswerKind }
  const interrupt = catchInterrupt()
  try {
    const raced = raceOnServer({ request, lanes, first, answer }, interrupt.signal)
    tell(await lastOf(raced, output), { run, options: { ...options, schedule: "async" } }, output)
    return interrupt.signal.aborted ? 130 : 0
  } finally {
    interrupt.release()
  }
}

/** People see the lanes end as they do. */
async function lastOf(run: AsyncGenerator<StreamEvent, RaceOutcome>, output: Output): Promise<RaceOutcome> {
  const lengths = new Map<number, number>()
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
    const step = next.value
    if (step.type === "tokens-committed") lengths.set(step.branch, (lengths.get(step.branch) ?? 0) + step.tokens.length)
    if (step.type === "text-appended") lengths.set(step.branch, (lengths.get(step.branch) ?? 0) + 1)
    if (step.type === "branch-ended" && !output.json)
      output.note(`lane ${step.branch}: ${step.reason} after ${lengths.get(step.branch) ?? 0} tokens`)
  }
}

function tell(outcome: RaceOutcome, { run, options }: RaceSettings, output: Output): void {
  const { schedule } = options
  if (output.json) {
    output.object({ ...outcome, schedule, seed: run.seed })
    return
  }
  const { status, text, winners, sequentialTokens, totalTokens, prefillTokens, cancelledTokens } = outcome
  if (status === "no-finish") output.note("no lane came to its end; this is the longest of them, and no answer:")
  output.text(`${text.trim()}\n`)
  output.note(
    `lane ${winners.join(", ") || "–"} of ${outcome.lanes.length} · ${sequentialTokens} tokens in sequence, ${totalTokens} in all, ` +
      `${cancelledTokens} cancelled, ${prefillTokens} read · seed ${run.seed}`,
  )
}
