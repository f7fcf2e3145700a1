/** The training recipes of the methods that have one: a line each, loaded when first asked for. */
import { ForerunError } from "../base/errors.ts"
import type { Recipe } from "../train/recipe.ts"
import { loadMethod } from "./index.ts"

/** Method → its src/methods/<method>/train.ts. */
const registry: Readonly<Record<string, () => Promise<Recipe>>> = {
  medusa: async () => (await import("./medusa/train.ts")).recipe,
  "medusa-2": async () => (await import("./medusa/train-joint.ts")).jointRecipe,
  "hidden-transfer": async () => (await import("./hidden-transfer/train.ts")).recipe,
  dovetail: async () => (await import("./dovetail/train.ts")).recipe,
  layerskip: async () => (await import("./self-speculative/train.ts")).recipe,
  eagle: async () => (await import("./eagle/train.ts")).recipe,
  falcon: async () => (await import("./falcon/train.ts")).recipe,
  "draft-lm": async () => (await import("./specdec-plus-plus/train-draft.ts")).draftRecipe,
  "tiny-maze": async () => (await import("./first-finish/train.ts")).recipe,
  implant: async () => (await import("./token-forcing/train.ts")).implantRecipe,
  confuse: async () => (await import("./token-forcing/train.ts")).confuseRecipe,
  "specdec-plus-plus": async () => (await import("./specdec-plus-plus/train.ts")).headRecipe,
}

export const recipeNames: readonly string[] = Object.keys(registry)

/** @throws ForerunError E_METHOD_NOT_FOUND for a name that is none, E_OPTION for a method that trains nothing */
export async function loadRecipe(name: string): Promise<Recipe> {
  const load = Object.hasOwn(registry, name) ? registry[name] : undefined
  if (load) return load()
  const { name: known } = await loadMethod(name)
  const there = recipeNames.join(", ") || "none yet"
  throw new ForerunError("E_OPTION", `the method "${known}" trains nothing (methods with a recipe: ${there})`)
}
