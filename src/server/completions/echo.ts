/** The prompt as a part of the answer: its text, and the log-probabilities of its tokens. */
import type { PromptInput, TokenReport } from "../../generate/types.ts"
import { completionTokens } from "../../jobs/result.ts"
import type { ServerContext } from "../context.ts"

export interface Echo {
  readonly text: string
  readonly promptTokens: number
  /** Where they are asked for. The first token has none: nothing comes before it. */
  readonly reports?: readonly TokenReport[]
}

/** @param top alternatives at each place; undefined: no log-probabilities */
export async function readEcho(
  { model, spelling }: ServerContext,
  prompt: PromptInput,
  { top, signal }: { readonly top: number | undefined; readonly signal: AbortSignal },
): Promise<Echo> {
  const tokens = await model.encodePrompt(prompt, { raw: true })
  const text = typeof prompt === "string" ? prompt : await model.detokenize(tokens)
  if (top === undefined) return { text, promptTokens: tokens.length }
  const score = tokens.length < 2 ? { logprobs: [], top: [] } : await model.score(tokens, { signal, top })
  const { report } = await spelling()
  const reports = Array.from(tokens, (id, i) =>
    report(i === 0 ? { id } : { id, logprob: score.logprobs[i - 1]!, top: score.top![i - 1]! }),
  )
  return { text, promptTokens: tokens.length, reports }
}

/** Log-probabilities of prompt and answer in one. */
export function withEcho(echo: readonly TokenReport[], answer: readonly TokenReport[]) {
  const all = completionTokens([...echo, ...answer])
  return {
    ...all,
    token_logprobs: [null, ...all.token_logprobs.slice(1)],
    top_logprobs: [null, ...all.top_logprobs.slice(1)],
  }
}
