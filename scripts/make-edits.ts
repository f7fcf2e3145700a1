/** Writes the edit task, small changes to whole code files, from HumanEval's solutions: npx tsx scripts/make-edits.ts HumanEval.jsonl edits.jsonl */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

interface Problem {
  readonly task_id: string
  readonly prompt: string
  readonly canonical_solution: string
  readonly entry_point: string
}

export interface Edit {
  readonly id: string
  readonly category: "edit"
  readonly prompt: string
  /** The file as it is before the change. */
  readonly prediction: string
}

/** In turn, so that nobody chose which file gets which. */
const changes: readonly ((problem: Problem) => string)[] = [
  ({ entry_point: name }) => `the function \`${name}\` renamed to \`compute\``,
  () => "the comment `# Reviewed.` added as a new first line",
  ({ prompt, entry_point: name }) => `the parameter \`${firstParameter(prompt, name)}\` renamed to \`given\``,
]

/** Every eighth problem of those there are. */
const step = 8

export const makeEdits = (problems: readonly Problem[]): Edit[] =>
  problems
    .filter((_, i) => i % step === 0)
    .map((problem, i) => {
      const file = `\`\`\`python\n${`${problem.prompt}${problem.canonical_solution}`.trim()}\n\`\`\``
      const change = changes[i % changes.length]!(problem)
      return {
        id: problem.task_id,
        category: "edit",
        prompt: `${file}\n\nRewrite this code with ${change}. Change nothing else. Answer with the whole code and nothing else.`,
        prediction: file,
      }
    })

function firstParameter(prompt: string, name: string): string {
  const [, found] = new RegExp(`def ${name}\\(\\s*(\\w+)`).exec(prompt) ?? []
  if (found === undefined) throw new Error(`${name} has no parameter`)
  return found
}

function main([from, to]: readonly string[]): void {
  if (from === undefined || to === undefined)
    throw new Error("npx tsx scripts/make-edits.ts HumanEval.jsonl edits.jsonl")
  const lines = readFileSync(from, "utf8").split("\n")
  const edits = makeEdits(lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Problem))
  writeFileSync(to, edits.map((edit) => `${JSON.stringify(edit)}\n`).join(""))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2))
