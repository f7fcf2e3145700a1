/** forerun methods: the registry. */
import type { AnyMethod, OptionSpec } from "../../decoding/method.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { loadMethod, methodNames } from "../../methods/index.ts"
import type { CommonFlags } from "../flags.ts"
import type { Output } from "../output.ts"
import { table } from "../terminal.ts"

export async function methods(_: readonly unknown[], _flags: CommonFlags, output: Output) {
  const all = await Promise.all(methodNames.map(loadMethod))
  if (output.json) output.object(all.map(methodObject))
  else output.text(`${table(["method", "promise", "needs", "options", "paper"], all.map(methodRow))}\n`)
  return 0
}

/** The promise is that of the default options; others may change it. */
function methodObject(method: AnyMethod) {
  const { name, summary, needs, options, trained, paper, verb = "generate" } = method
  return { name, summary, promise: method.promise(resolveOptions(method)), needs, options, trained, paper, verb }
}

function methodRow(method: AnyMethod): string[] {
  const { name, promise, needs, options, paper } = methodObject(method)
  const needed = Object.entries(needs).map(([role, abilities]) => `${role}: ${abilities.join(", ") || "–"}`)
  const source = paper.arxiv === undefined ? (paper.venue ?? "") : `arXiv:${paper.arxiv}`
  const described = Object.entries(options).map(([key, spec]: [string, OptionSpec]) => `${key}=${spec.default}`)
  return [name, promise, needed.join("; "), described.join(" ") || "–", `${paper.title}, ${paper.year}, ${source}`]
}
