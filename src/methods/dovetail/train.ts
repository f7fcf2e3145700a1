/** The recipe of Dovetail's drafter: several layers behind a dynamic fusion, towards the target's laws over its answers. */
import { drafterDefaults, drafterOptions, prepareDrafter } from "../../train/drafter/recipe.ts"
import type { Recipe } from "../../train/recipe.ts"

export const recipe: Recipe = {
  method: "dovetail",
  summary: "Layers that continue the target's features, behind a fusion that weighs token and feature.",
  options: {
    ...drafterOptions,
    layers: { type: "integer", default: 2, low: 1, high: 6, description: "decoder layers of the drafter" },
    fusion: {
      type: "string",
      default: "dynamic",
      choices: ["dynamic", "plain"],
      description: "dynamic: shares of token and feature, entry by entry; plain: one linear map, to compare with",
    },
    // Two such layers and the fusion keep to 12 MB on SmolLM2.
    intermediate: { ...drafterOptions.intermediate, default: 768 },
  },
  defaults: { ...drafterDefaults, learningRate: 8e-4 },
  metric: { name: "accuracy", better: "higher", expected: "0.45 to 0.55 of held-out answers' tokens" },
  prepare: (context) =>
    prepareDrafter(context, {
      span: 1,
      fusion: context.options.fusion === "plain" ? "plain" : "dynamic",
      layers: Number(context.options.layers),
      glancing: "off",
    }),
}
