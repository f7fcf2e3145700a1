/** Checks the options of a method against its table. */
import { ForerunError } from "../base/errors.ts"
import type { AnyMethod, OptionSpec, OptionValues } from "./method.ts"

/** Values as numbers, booleans or their spellings. @throws E_OPTION naming the option, what it takes and what was found */
export function resolveOptions(
  method: Pick<AnyMethod, "name" | "options">,
  given: Readonly<Record<string, unknown>> = {},
): OptionValues {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(method.options, name)) {
      const known = Object.keys(method.options).join(", ") || "none"
      throw new ForerunError("E_OPTION", `${method.name} has no option "${name}" (options: ${known})`)
    }
  const values: Record<string, number | boolean | string> = {}
  for (const [name, spec] of Object.entries(method.options))
    values[name] = Object.hasOwn(given, name) ? parse(`${method.name}.${name}`, spec, given[name]) : spec.default
  return values
}

function parse(name: string, spec: OptionSpec, found: unknown): number | boolean | string {
  const refuse = (needed: string): never => {
    throw new ForerunError("E_OPTION", `${name} needs ${needed}, found ${JSON.stringify(found) ?? String(found)}`)
  }
  if (spec.type === "boolean") {
    if (found === true || found === "true") return true
    if (found === false || found === "false") return false
    return refuse("true or false")
  }
  if (spec.type === "string") {
    if (typeof found !== "string" || (spec.choices && !spec.choices.includes(found)))
      return refuse(spec.choices ? `one of ${spec.choices.join(", ")}` : "a string")
    return found
  }
  const number = typeof found === "string" && found.trim() !== "" ? Number(found) : found
  const [low, high] = [spec.low ?? Number.NEGATIVE_INFINITY, spec.high ?? Number.POSITIVE_INFINITY]
  const fits = typeof number === "number" && Number.isFinite(number) && number >= low && number <= high
  if (!fits || (spec.type === "integer" && !Number.isInteger(number))) {
    const article = spec.type === "integer" ? "an integer" : "a number"
    const bounds = spec.low === undefined && spec.high === undefined ? "" : ` from ${low} to ${high}`
    return refuse(`${article}${bounds}`)
  }
  return number as number
}
