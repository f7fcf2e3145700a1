/** A completion in one piece. */
import { settleAll } from "../../base/settle.ts"
import type { GenerateResult, PromptInput } from "../../generate/types.ts"
import { type Answer, completed } from "../../jobs/result.ts"
import { speculationMetrics } from "../../jobs/usage.ts"
import type { ApiRequest, ServerContext } from "../context.ts"
import { readMessage, type TextReader } from "../tools/tool-reader.ts"
import { type Echo, readEcho, withEcho } from "./echo.ts"
import type { Prepared } from "./prepare.ts"

interface Answered {
  readonly echo: Echo | undefined
  readonly results: readonly GenerateResult[]
}

/** @param named what every body of this answer begins with: id, created, model */
export async function answerWhole(
  prepared: Prepared,
  { signal }: Pick<ApiRequest, "signal">,
  { context, named }: { readonly context: ServerContext; readonly named: object },
): Promise<Response> {
  const begin = performance.now()
  const answers = await settleAll(prepared.prompts.map((prompt) => answerOne(prompt, prepared, { signal, context })))
  signal.throwIfAborted()
  for (const { results } of answers) context.metrics.generated(results)
  context.metrics.firstText((performance.now() - begin) / 1000)
  return Response.json({ ...named, ...bodyOf(prepared, answers, context.settings.name) })
}

async function answerOne(
  prompt: PromptInput,
  { options, echo, isPromptOnly }: Prepared,
  { signal, context }: { readonly signal: AbortSignal; readonly context: ServerContext },
): Promise<Answered> {
  const front = echo ? await readEcho(context, prompt, { top: options.logprobs, signal }) : undefined
  if (isPromptOnly) return { echo: front, results: [] }
  const result = await context.model.generate(prompt, { ...options, signal })
  return { echo: front, results: result.choices ?? [result] }
}

function bodyOf(prepared: Prepared, answers: readonly Answered[], model: string): object {
  const parts = answers.map((answer) => partOf(prepared, answer, model))
  const choices = parts.flatMap(({ choices }) => choices).map((choice, index) => ({ ...choice, index }))
  const metrics = speculationMetrics(answers.flatMap(({ results }) => results))
  return {
    ...parts[0]!,
    choices,
    usage: parts.map(({ usage }) => usage).reduce(addUsage),
    ...(metrics ? { metrics: { speculative_decoding: metrics } } : {}),
  }
}

interface Part {
  readonly object: string
  readonly choices: readonly object[]
  readonly usage: Usage
}
type Usage = { readonly [name: string]: number | Usage }

/** One prompt's body. */
function partOf({ url, reader }: Prepared, { echo, results }: Answered, model: string): Part {
  if (results.length === 0) return promptOnly(echo!)
  const { body } = completed({ url }, results, { model, cachedTokens: results[0]!.cachedTokens }) as Answer & {
    readonly body: Part
  }
  if (!echo) return { ...body, choices: body.choices.map((choice, i) => takenApart(choice, results[i]!, reader())) }
  const choices = body.choices.map((choice, i) => {
    const { text, logprobs } = results[i]!
    return {
      ...choice,
      text: echo.text + text,
      logprobs: echo.reports ? withEcho(echo.reports, logprobs ?? []) : null,
    }
  })
  return { ...body, choices }
}

/** A chat's message, its calls of tools apart from its text. */
function takenApart(choice: object, { text, finishReason }: GenerateResult, reader: TextReader): object {
  if (!("message" in choice)) return choice
  const message = { ...(choice.message as object), ...readMessage(text, reader) }
  return { ...choice, message, finish_reason: reader.reason(finishReason) }
}

function promptOnly({ text, reports, promptTokens }: Echo): Part {
  const choice = { text, logprobs: reports ? withEcho(reports, []) : null, finish_reason: "length" }
  const usage = { prompt_tokens: promptTokens, completion_tokens: 0, total_tokens: promptTokens }
  return { object: "text_completion", choices: [choice], usage }
}

/** Number by number, whatever the depth. */
function addUsage(a: Usage, b: Usage): Usage {
  const sum = (one: number | Usage, other: number | Usage | undefined): number | Usage =>
    typeof one === "number"
      ? one + ((other as number | undefined) ?? 0)
      : addUsage(one, (other as Usage | undefined) ?? {})
  return Object.fromEntries(Object.entries(a).map(([name, value]) => [name, sum(value, b[name])]))
}
