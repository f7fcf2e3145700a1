/** A method as plain data: for lists of methods, wherever they are shown. */
import type { AnyMethod } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"

/** The promise is that of the default options; others may change it. */
export function describeMethod(method: AnyMethod) {
  const { name, summary, needs, options, trained, paper, verb = "generate" } = method
  return { name, summary, promise: method.promise(resolveOptions(method)), needs, options, trained, paper, verb }
}
