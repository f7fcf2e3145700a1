/** Lookahead decoding: the model guesses its own n-grams, a window of positions ahead, in the passes that verify them. */
import { ForerunError } from "../../base/errors.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"
import { blockSize } from "../../models/builder.ts"
import { createLookaheadDrafter } from "./lookahead-drafter.ts"

export const lookahead: Method = {
  name: "lookahead",
  summary: "Guesses n-grams in a window ahead of the text and verifies those that fit, in one pass.",
  paper: {
    title: "Break the Sequential Dependency of LLM Inference Using Lookahead Decoding",
    authors: "Fu, Bailis, Stoica, Zhang",
    year: 2024,
    arxiv: "2402.02057",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask", "explicit-positions", "chosen-logits"] },
  options: {
    level: { type: "integer", default: 3, low: 3, high: 16, description: "N: length of the n-grams in tokens" },
    width: { type: "integer", default: 3, low: 1, high: 64, description: "W: columns of the window" },
    guesses: { type: "integer", default: 3, low: 1, high: 64, description: "G: n-grams kept for each first token" },
    promptGrams: { type: "boolean", default: true, description: "whether the prompt's n-grams are drafted too" },
  },
  trained: false,
  run(prompt, context) {
    const { level, width, guesses, promptGrams } = context.options as Options
    const rows = (width + guesses) * (level - 1)
    if (rows > blockSize)
      throw new ForerunError("E_OPTION", `a pass holds ${blockSize} rows; these options need ${rows}`, {
        hint: "(width + guesses) · (level - 1) rows",
      })
    const random = context.random.fork("window")
    const { tokens } = prompt
    const drafter = createLookaheadDrafter({
      target: context.models.target,
      level,
      width,
      guesses,
      prompt: promptGrams ? tokens : undefined,
      token: () => tokens[Math.floor(random.next() * tokens.length)]!,
    })
    return speculate(prompt, context, { drafter, budget: fixedBudget(level - 1, guesses * (level - 1)) })
  },
}

interface Options extends OptionValues {
  readonly level: number
  readonly width: number
  readonly guesses: number
  readonly promptGrams: boolean
}
