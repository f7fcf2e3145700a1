/** Whether the loaded models are what a method needs. */
import { ForerunError } from "../base/errors.ts"
import type { AnyMethod, Context, Method, Role } from "../decoding/method.ts"

/** @throws E_DRAFT without the draft model it needs, E_ABILITY when a model lacks a power */
export function checkNeeds(method: Pick<AnyMethod, "name" | "needs">, models: Context["models"]): void {
  for (const [role, abilities] of Object.entries(method.needs) as [Role, Method["needs"][Role]][]) {
    const model = models[role]
    if (!model)
      throw new ForerunError("E_DRAFT", `${method.name} needs a ${role} model, and none was loaded`, {
        hint: "load one with loadModel's option `draft`, or --draft <model>",
      })
    const missing = (abilities ?? []).filter((ability) => !model.abilities.has(ability))
    if (missing.length > 0)
      throw new ForerunError("E_ABILITY", `${method.name} needs ${missing.join(", ")} of its ${role} model`)
  }
}
