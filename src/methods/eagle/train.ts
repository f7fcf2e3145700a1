/** The recipe of EAGLE's layer: the target's laws over its own answers, unrolled over what the layer predicts itself. */
import { drafterDefaults, drafterOptions, prepareDrafter } from "../../train/drafter/recipe.ts"
import type { Recipe } from "../../train/recipe.ts"

export const recipe: Recipe = {
  method: "eagle",
  summary: "One layer that continues the target's features, from a closed-form start.",
  options: drafterOptions,
  defaults: drafterDefaults,
  metric: {
    name: "accuracy",
    better: "higher",
    expected:
      "0.45 to 0.55 of held-out answers' tokens; 0.25 to 0.4 at the closed-form start (steps=1, learningRate=0)",
  },
  prepare: (context) => prepareDrafter(context, { span: 1, fusion: "plain", glancing: "off" }),
}
