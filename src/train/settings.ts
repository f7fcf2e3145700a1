/** From "key=value" to a recipe's options and hyper-parameters, all checked. */
import { ForerunError } from "../base/errors.ts"
import type { OptionSpec, OptionTable, OptionValues } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import type { Hyperparameters, Recipe } from "./recipe.ts"

const count = (description: string, low = 0): Omit<OptionSpec, "default"> => ({ type: "integer", low, description })
const fraction = (description: string): Omit<OptionSpec, "default"> => ({
  type: "number",
  low: 0,
  high: 1,
  description,
})

const specs: Readonly<Record<keyof Hyperparameters, Omit<OptionSpec, "default">>> = {
  steps: count("updates of the weights", 1),
  batch: count("samples in a pass", 1),
  accumulate: count("passes in a step", 1),
  learningRate: fraction("highest learning rate"),
  schedule: { type: "string", choices: ["cosine", "constant"], description: "course of the learning rate" },
  warmUp: count("steps over which the rate rises"),
  finalRate: fraction("what a cosine leaves of the rate"),
  decay: fraction("decoupled weight decay"),
  clip: { type: "number", low: 0, description: "longest gradient; 0 = any" },
  beta1: fraction("memory of the gradient's mean"),
  beta2: fraction("memory of its square's mean"),
  epsilon: fraction("added to the root of that"),
  validateEvery: count("steps between validations", 1),
  patience: count("validations without progress that end a run; 0 = none do"),
}

/** Hyper-parameters with the recipe's own defaults, and its options. @throws E_INTERNAL when one name means both */
export function recipeTable(recipe: Pick<Recipe, "options" | "defaults">): OptionTable {
  const twice = Object.keys(recipe.options).find((name) => Object.hasOwn(specs, name))
  if (twice !== undefined) throw new ForerunError("E_INTERNAL", `a recipe's option cannot be called ${twice}`)
  return {
    ...Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        { ...spec, default: recipe.defaults[name as keyof Hyperparameters] },
      ]),
    ),
    ...recipe.options,
  }
}

/** @throws E_OPTION naming the option, what it takes and what was found */
export function resolveSettings(
  recipe: Pick<Recipe, "method" | "options" | "defaults">,
  given: Readonly<Record<string, unknown>>,
): { options: OptionValues; hyper: Hyperparameters } {
  const all = resolveOptions({ name: recipe.method, options: recipeTable(recipe) }, given)
  const pick = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, all[name]!]))
  return {
    options: pick(Object.keys(recipe.options)),
    hyper: pick(Object.keys(specs)) as unknown as Hyperparameters,
  }
}
