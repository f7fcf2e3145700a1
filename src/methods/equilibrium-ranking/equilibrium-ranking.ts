/** Equilibrium ranking: candidates ranked by two players who must agree, both played by one model. */
import { ForerunError } from "../../base/errors.ts"
import type { Context, Method, OptionTable, OptionValues } from "../../decoding/method.ts"
import type { Step } from "../../decoding/step.ts"
import { type GameOptions, type LogLikelihoods, playGame } from "./game.ts"
import { askLikelihoods, type LikelihoodOptions } from "./likelihoods.ts"
import { type Exemplar, type RankPrompts, rankTexts, readPrompts } from "./prompts.ts"
import { type RankingName, type Rankings, rankings, winnerOf } from "./rankings.ts"

export interface RankInput {
  readonly question: string
  /** At least one; the same text twice is one candidate. */
  readonly candidates: readonly string[]
  readonly exemplars?: readonly Exemplar[]
  /** Replaces the default ones, wholly or in part. */
  readonly prompts?: Partial<RankPrompts>
}

export interface RankOutcome {
  /** Without repetitions, in order of first sight; scores follow this order. */
  readonly candidates: readonly string[]
  /** Index of each ranking's best candidate. */
  readonly winner: Readonly<Record<RankingName, number>>
  readonly scores: Rankings
  /** Distance from an equilibrium. */
  readonly residual: number
  readonly utility: { readonly initial: number; readonly final: number }
  readonly likelihoods: LogLikelihoods
  readonly candidateTokens: readonly number[]
  readonly judgementTokens: readonly [number, number]
}

const price = { type: "number", default: 0.1, low: 1e-6, high: 1e6 } as const
const options = {
  lambdaG: { ...price, description: "what it costs the generator to leave its initial policy" },
  lambdaD: { ...price, description: "what it costs the discriminator to leave its initial policy" },
  etaG: { ...price, description: "learning rate of the generator" },
  etaD: { ...price, description: "learning rate of the discriminator" },
  iterations: { type: "integer", default: 5000, low: 0, high: 1e6, description: "updates of the policies" },
  initial: {
    type: "string",
    default: "cross",
    choices: ["cross", "rows"],
    description: "initial policies normalised over the other variable first, or not",
  },
  solver: {
    type: "string",
    default: "pikl",
    choices: ["pikl", "fixed-point"],
    description: "the paper's no-regret updates, or the fixed-point equations",
  },
  lengthNorm: {
    type: "string",
    default: "none",
    choices: ["none", "tokens"],
    description: "whether a candidate's log-likelihood is divided by its number of tokens",
  },
} as const satisfies OptionTable

export const equilibriumRanking: Method<RankInput, RankOutcome> = {
  name: "equilibrium-ranking",
  summary: "Ranks given answers by a game between the model as author and the model as judge.",
  paper: {
    title: "The Consensus Game: Language Model Generation via Equilibrium Search",
    authors: "Jacob, Shen, Farina, Andreas",
    year: 2023,
    arxiv: "2310.09139",
    venue: "ICLR 2024",
  },
  promise: () => "report",
  needs: { target: ["causal-cache"] },
  options,
  trained: false,
  verb: "rank",
  run,
}

async function* run(input: RankInput, context: Context): AsyncGenerator<Step, RankOutcome> {
  const { question, candidates, exemplars } = checkInput(input)
  const texts = rankTexts({ question, candidates }, readPrompts(input.prompts), exemplars)
  const { models, tokenizer, signal } = context
  const lengthNorm = context.options.lengthNorm as LikelihoodOptions["lengthNorm"]
  const asked = await askLikelihoods(models.target, tokenizer, texts, { lengthNorm, signal })
  const { generator, discriminator, candidateTokens, judgementTokens } = asked
  const likelihoods = { generator, discriminator }
  const game = playGame(likelihoods, gameOptions(context.options))
  const scores = rankings(likelihoods, game)
  const named = Object.entries(scores).flatMap(([name, values]) => values.map((score, y) => [`${name}.${y}`, score]))
  yield { type: "scores-updated", scores: Object.fromEntries(named) }
  const winners = Object.entries(scores).map(([name, values]) => [name, winnerOf(values)])
  const winner = Object.fromEntries(winners) as RankOutcome["winner"]
  const { residual, utility } = game
  return { candidates, winner, scores, residual, utility, likelihoods, candidateTokens, judgementTokens }
}

export const gameOptions = (values: OptionValues): GameOptions => values as unknown as GameOptions

function checkInput(input: RankInput): Required<Pick<RankInput, "question" | "candidates" | "exemplars">> {
  const { question, candidates, exemplars = [] } = (input ?? {}) as Partial<RankInput>
  const isText = (value: unknown) => typeof value === "string" && value !== ""
  if (!isText(question)) throw bad("a question")
  if (!Array.isArray(candidates) || candidates.length === 0 || !candidates.every(isText))
    throw bad("a list of candidates, none of them empty")
  if (!Array.isArray(exemplars) || !exemplars.every((one) => isText(one?.question) && isText(one?.candidate)))
    throw bad("exemplars with question and candidate")
  return { question: question!, candidates: [...new Set(candidates as string[])], exemplars }
}

const bad = (needed: string): ForerunError => new ForerunError("E_INPUT", `ranking needs ${needed}`)
