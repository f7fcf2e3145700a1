/** The recipe of Falcon's layer: several tokens a pass, gated fusion, coupled sequential glancing. */
import { type Fusion, fusions } from "../../models/drafter/sizes.ts"
import { type GlancingSchedule, glancingSchedules } from "../../train/drafter/glancing.ts"
import { drafterDefaults, drafterOptions, prepareDrafter } from "../../train/drafter/recipe.ts"
import type { Recipe } from "../../train/recipe.ts"

export const recipe: Recipe = {
  method: "falcon",
  summary: "One layer that continues the target's features several tokens at a time, from a closed-form start.",
  options: {
    ...drafterOptions,
    span: { type: "integer", default: 2, low: 1, high: 8, description: "tokens drafted in a pass" },
    fusion: {
      type: "string",
      default: "gate",
      choices: fusions,
      description:
        "gate: LSTM cells from a zero state beside the linear map; plain: the linear map alone, as EAGLE has it",
    },
    glancing: {
      type: "string",
      default: "paper",
      choices: glancingSchedules,
      description: "how often wrong rows are given their answers: the paper's schedule, its code's, or never",
    },
  },
  defaults: drafterDefaults,
  metric: { name: "accuracy", better: "higher", expected: "0.3 to 0.4 over both tokens of a pass" },
  prepare: (context) => prepareDrafter(context, context.options as unknown as Kind),
}

interface Kind {
  readonly span: number
  readonly fusion: Fusion
  readonly glancing: GlancingSchedule
}
