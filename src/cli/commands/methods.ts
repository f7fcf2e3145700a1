/** forerun methods: the registry. */
import type { AnyMethod, OptionSpec } from "../../decoding/method.ts"
import { describeMethod } from "../../methods/describe.ts"
import { loadMethod, methodNames } from "../../methods/index.ts"
import type { CommonFlags } from "../flags.ts"
import type { Output } from "../output.ts"
import { table } from "../terminal.ts"

export async function methods(_: readonly unknown[], _flags: CommonFlags, output: Output) {
  const all = await Promise.all(methodNames.map(loadMethod))
  if (output.json) output.object(all.map(describeMethod))
  else output.text(`${table(["method", "promise", "needs", "options", "paper"], all.map(methodRow))}\n`)
  return 0
}

function methodRow(method: AnyMethod): string[] {
  const { name, promise, needs, options, paper } = describeMethod(method)
  const needed = Object.entries(needs).map(([role, abilities]) => `${role}: ${abilities.join(", ") || "–"}`)
  const source = paper.arxiv === undefined ? (paper.venue ?? "") : `arXiv:${paper.arxiv}`
  const described = Object.entries(options).map(([key, spec]: [string, OptionSpec]) => `${key}=${spec.default}`)
  return [name, promise, needed.join("; "), described.join(" ") || "–", `${paper.title}, ${paper.year}, ${source}`]
}
