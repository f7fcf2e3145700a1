/** Which device each role runs on. */
import { ForerunError } from "../base/errors.ts"

/** `process`: a CPU engine in a process of its own; for what drafts only. */
export const devices = ["cpu", "webgpu", "process"] as const
export type Device = (typeof devices)[number]
/** Where a whole model can run. */
export type ModelDevice = Exclude<Device, "process">

/** What drafts (a draft model, or a method's trained part) runs where the target runs, unless it is told otherwise. */
export interface Placement {
  readonly target: ModelDevice
  readonly draft: Device
}

const roles = ["target", "draft"] as const

/**
 * @param given one device for everything, or devices by role. Default: the CPU
 * @throws E_OPTION naming the role or the device that there is none of
 */
export function placementOf(given: unknown = "cpu"): Placement {
  if (typeof given !== "object" || given === null) {
    const device = modelDevice("device", given)
    return { target: device, draft: device }
  }
  for (const role of Object.keys(given))
    if (!(roles as readonly string[]).includes(role))
      throw new ForerunError("E_OPTION", `device: there is no role "${role}"; roles are ${roles.join(" and ")}`)
  const { target = "cpu", draft = target } = given as { target?: unknown; draft?: unknown }
  return { target: modelDevice("device of target", target), draft: oneOf("device of draft", draft, devices) }
}

/** A model's caches lie in the engine's own process, so all of it runs there. @throws E_OPTION */
export const modelDevice = (what: string, device: unknown): ModelDevice => oneOf(what, device, ["cpu", "webgpu"])

function oneOf<Name extends string>(what: string, found: unknown, names: readonly Name[]): Name {
  const name = names.find((one) => one === found)
  if (name !== undefined) return name
  throw new ForerunError("E_OPTION", `${what} must be one of ${names.join(", ")}; found ${JSON.stringify(found)}`)
}

/** "webgpu", or "target=cpu,draft=process". @throws E_OPTION */
export function parsePlacement(text: string): Placement {
  if (!text.includes("=")) return placementOf(text)
  const pairs = text.split(",").map((pair): [string, string] => {
    const [role = "", device = "", ...rest] = pair.split("=")
    if (rest.length === 0) return [role.trim(), device.trim()]
    throw new ForerunError("E_OPTION", `device needs role=device, found ${JSON.stringify(pair)}`)
  })
  const named = Object.fromEntries(pairs)
  if (Object.keys(named).length === pairs.length) return placementOf(named)
  throw new ForerunError("E_OPTION", `device names a role twice: ${JSON.stringify(text)}`)
}
