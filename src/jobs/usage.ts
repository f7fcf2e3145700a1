/** What answers cost, in OpenAI's words; how drafts fared, in the words that vLLM's dashboards know. */
import type { GenerateResult } from "../generate/types.ts"

type Spent = Pick<GenerateResult, "tokens" | "speculation">

export interface PromptCost {
  readonly promptTokens: number
  /** Tokens of the prompt that were read before. */
  readonly cachedTokens: number
}

export function usageOf(answers: readonly Spent[], { promptTokens, cachedTokens }: PromptCost) {
  const sum = (count: (answer: Spent) => number | undefined) =>
    answers.reduce((total, answer) => total + (count(answer) ?? 0), 0)
  const completionTokens = sum(({ tokens }) => tokens.length)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: {
      reasoning_tokens: 0,
      accepted_prediction_tokens: sum(({ speculation }) => speculation?.acceptedPrediction),
      rejected_prediction_tokens: sum(({ speculation }) => speculation?.rejectedPrediction),
    },
  }
}

/** All answers' drafts together. @returns undefined when nothing was drafted and verified */
export function speculationMetrics(answers: readonly Spent[]) {
  const reports = answers.flatMap(({ speculation }) => speculation ?? [])
  if (reports.length === 0) return undefined
  const histogram: number[] = []
  let [rounds, drafted, accepted, committed] = [0, 0, 0, 0]
  for (const report of reports) {
    rounds += report.rounds
    drafted += report.drafted
    accepted += report.accepted
    committed += report.meanAcceptedLength * report.rounds
    for (const [length, count] of report.histogram.entries()) histogram[length] = (histogram[length] ?? 0) + count
  }
  return {
    mean_acceptance_length: committed / rounds,
    draft_acceptance_rate: drafted === 0 ? 0 : accepted / drafted,
    acceptance_histogram: histogram,
    num_spec_steps: rounds,
    num_accepted_draft_tokens: accepted,
    num_draft_tokens: drafted,
  }
}
