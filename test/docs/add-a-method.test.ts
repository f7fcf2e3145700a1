/** The toy methods of docs/add-a-method.md: they compile under the repository's rules, and they do what they say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import ts from "typescript"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Method } from "../../src/decoding/method.ts"
import { createSpeculationTally } from "../../src/decoding/speculation-report.ts"
import { autoregressive } from "../../src/methods/autoregressive/autoregressive.ts"
import { loadRunner } from "../../src/runtime/load-runner.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { methodContract } from "../method-contract.ts"
import { runMethod } from "../support/method-harness.ts"
import { repository } from "../support/shared.ts"
import { tinyCheckpoint } from "../support/tiny-model.ts"

const document = readFileSync(join(repository, "docs/add-a-method.md"), "utf8")
const blocks = [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
const folder = mkdtempSync(join(tmpdir(), "forerun-docs-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

writeFileSync(join(folder, "package.json"), '{"type":"module"}')

/** Each block as a file whose imports lead into this repository. */
const files = blocks.map((code, index) => {
  const path = join(folder, `toy-${index}.ts`)
  writeFileSync(path, code.replaceAll('"../../', `"${join(repository, "src")}/`))
  return path
})
const load = async (index: number, name: string): Promise<Method> =>
  ((await import(/* @vite-ignore */ pathToFileURL(files[index]!).href)) as Record<string, Method>)[name]!
const [runnerUp, pairTable] = [await load(0, "runnerUp"), await load(1, "pairTable")]

test("both compile, with the settings of tsconfig.json", () => {
  const { config } = ts.readConfigFile(join(repository, "tsconfig.json"), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, repository)
  const types = [join(repository, "node_modules/@types")]
  const program = ts.createProgram(files, { ...options, noEmit: true, typeRoots: types })
  const diagnostics = files.flatMap((file) => {
    const source = program.getSourceFile(file)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  })
  const found = diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "))
  expect(found).toEqual([])
  expect(files).toHaveLength(2)
}, 120_000)

methodContract(pairTable)

describe("on a tiny model", () => {
  let target: SessionRunner
  beforeAll(async () => {
    const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 2, intermediate: 64, context: 400 }
    const checkpoint = tinyCheckpoint({ family: "llama", seed: 21, vocabulary: 40, ...sizes })
    target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(() => target.dispose())

  test("pair-table: the tokens of plain decoding in fewer passes", async () => {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 200 })
    const { steps, outcome } = await runMethod(pairTable, { target }, { maxTokens: 200 })
    expect(outcome).toEqual(plain.outcome)
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    expect(tally.report()!.meanAcceptedLength).toBeGreaterThan(1.5)
  })

  test("runner-up: plain decoding with chance 0, something else with chance 1", async () => {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 30 })
    expect((await runMethod(runnerUp, { target }, { maxTokens: 30, options: { chance: 0 } })).outcome).toEqual(
      plain.outcome,
    )
    const never = await runMethod(runnerUp, { target }, { maxTokens: 1, options: { chance: 1 } })
    expect(never.outcome.tokens).not.toEqual(plain.outcome.tokens.slice(0, 1))
  })
})
