/** The answers that both recipes learn from. */
import { ForerunError } from "../../base/errors.ts"
import { type AnswerSplit, readAnswers } from "../../train/answers.ts"
import type { RecipeContext } from "../../train/recipe.ts"

export function answersFrom({ data, target }: Pick<RecipeContext, "data" | "target">): AnswerSplit {
  if (data.length === 0)
    throw new ForerunError("E_OPTION", "give the target's answers: --data <file>", {
      hint: "forerun distil writes them",
    })
  const split = readAnswers(data, { vocabulary: target.config.vocabulary })
  if (split.training.length === 0) throw new ForerunError("E_INPUT", `${data.join(", ")}: there are no answers`)
  return split
}
