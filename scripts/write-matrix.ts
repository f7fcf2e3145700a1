/** Runs every method with every parameter on a tiny model and writes docs/matrix.md: npx tsx scripts/write-matrix.ts */
import { rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { asForerunError } from "../src/base/errors.ts"
import { checkLaw } from "../src/bench/law-check.ts"
import { markdown } from "../src/bench/tables.ts"
import { loadModel } from "../src/generate/load.ts"
import type { Model } from "../src/generate/model.ts"
import { predictionFor } from "../src/generate/prediction.ts"
import type { GenerateOptions, GenerateResult } from "../src/generate/types.ts"
import { continuationNames, loadMethod } from "../src/methods/index.ts"
import { writeRandomParts } from "../test/support/random-parts.ts"
import { makeTinyFolder, tinyEnd } from "../test/support/tiny-folder.ts"

/** Repeats itself, so that copying from it drafts something. */
const text = "the sea and the sea and the sea and the"
const endless = { [tinyEnd]: -100 }
const hot: GenerateOptions = { temperature: 1, seed: 5, maxTokens: 40, raw: true, logitBias: endless }
const greedy: GenerateOptions = { ...hot, temperature: 0 }

type Ask = (options: GenerateOptions) => Promise<GenerateResult>

interface Cell {
  readonly name: string
  /** What was seen of the method, to be equal to what is seen of plain decoding. */
  readonly see: (ask: Ask) => Promise<unknown>
  /** Options of one answer, for the law where tokens may differ. */
  readonly sampled?: GenerateOptions
}

const seen = ({ tokens, text, finishReason }: GenerateResult) => ({ tokens, text, finishReason })
const sampled = (name: string, options: GenerateOptions): Cell => ({
  name,
  sampled: { ...hot, ...options },
  see: async (ask) => [
    seen(await ask({ ...hot, ...options })),
    seen(await ask({ ...greedy, ...options, temperature: 0 })),
  ],
})

const cells: readonly Cell[] = [
  { name: "greedy", see: async (ask) => seen(await ask(greedy)) },
  sampled("temperature", { temperature: 0.7 }),
  sampled("top-p", { topP: 0.8 }),
  sampled("top-k", { topK: 5 }),
  sampled("min-p", { minP: 0.3 }),
  sampled("repetition penalty", { repetitionPenalty: 1.4 }),
  sampled("presence penalty", { presencePenalty: 1.5 }),
  sampled("frequency penalty", { frequencyPenalty: 1.5 }),
  sampled("logit bias", { logitBias: { ...endless, 116: 4, 104: -3 } }),
  sampled("seed", { seed: 99 }),
  {
    name: "stop string",
    async see(ask) {
      const { text: whole } = await ask(greedy)
      const results = []
      // Wherever it begins and ends: in a draft, across drafts, at their edges.
      for (let at = 3; at < 15; at++) results.push(await ask({ ...greedy, stop: [whole.slice(at, at + 3)] }))
      return results.map(({ text, finishReason, stopString }) => ({ text, finishReason, stopString }))
    },
  },
  {
    name: "n > 1",
    see: async (ask) => (await ask({ ...hot, n: 3 })).choices!.map(seen),
  },
  {
    name: "logprobs",
    see: async (ask) => [
      (await ask({ ...greedy, logprobs: 5 })).logprobs,
      (await ask({ ...hot, logprobs: 0 })).logprobs,
    ],
  },
  {
    name: "max tokens",
    async see(ask) {
      const results = []
      for (let maxTokens = 1; maxTokens <= 14; maxTokens++) results.push(seen(await ask({ ...greedy, maxTokens })))
      return results
    },
  },
]

/** Stops early; what there is must be the beginning of the whole answer, and nothing when aborted before. */
async function abortCell(model: Model, way: GenerateOptions): Promise<boolean> {
  const whole = await model.generate(text, { ...greedy, ...way, maxTokens: 200 })
  const controller = new AbortController()
  const run = model.stream(text, { ...greedy, ...way, maxTokens: 200, signal: controller.signal })
  let next = await run.next()
  for (let committed = 0; !next.done; next = await run.next())
    if (next.value.type === "tokens-committed" && ++committed === 3) controller.abort()
  const { tokens, finishReason } = next.value
  const never = await model.generate(text, { ...greedy, ...way, signal: AbortSignal.abort() })
  const begins = tokens.every((id, i) => id === whole.tokens[i])
  return begins && finishReason === "abort" && never.tokens.length === 0 && never.finishReason === "abort"
}

/** A method's own settings; one that takes a prediction gets the answer that is right when greedy, but for its middle. */
async function wayOf(model: Model, method: string): Promise<GenerateOptions> {
  const { text: answer } = await model.generate(text, greedy)
  const prediction = `${answer.slice(0, 12)}~${answer.slice(14)}`
  return { method, ...(await predictionFor(method, { prediction })) }
}

async function outcome(model: Model, way: GenerateOptions, cell: Cell): Promise<string> {
  const asking =
    (one: GenerateOptions): Ask =>
    (options) =>
      model.generate(text, { ...options, ...one })
  const plain = JSON.stringify(await cell.see(asking({ method: "autoregressive" })))
  try {
    if (JSON.stringify(await cell.see(asking(way))) === plain) return "same"
  } catch (thrown) {
    return `refused (\`${asForerunError(thrown).code}\`)`
  }
  if (!cell.sampled) return "**differs**"
  const prompts = [await model.encodePrompt(text, { raw: true })]
  const generate = { ...cell.sampled, ...way }
  const { pValue } = await checkLaw(model, { prompts, generate, samples: 500, tokens: 6 })
  return pValue > 1e-4 ? "same law" : "**differs**"
}

/** Whether drafts are met and accepted at all; over a long answer, since some methods draft only what pays here. */
async function acceptsDrafts(model: Model, way: GenerateOptions): Promise<string> {
  const { speculation } = await model.generate(text, { ...greedy, ...way, maxTokens: 300 })
  return speculation === undefined ? "–" : speculation.accepted > 0 ? "yes" : "no"
}

/** One column a method; each cell holds for a draft model that is always right and for one that knows nothing. */
export async function makeMatrix(): Promise<string> {
  const names = await continuationNames() // the others have verbs and parameters of their own
  const [target, stranger] = [makeTinyFolder(), makeTinyFolder({ seed: 405 })]
  const part = await writeRandomParts(target.path)
  const rows = new Map(
    ["drafts accepted", ...cells.map(({ name }) => name), "abort"].map((name) => [name, names.map(() => "")]),
  )
  try {
    for (const draft of [target.path, stranger.path]) {
      const model = await loadModel(target.path, { weights: "f32", threads: 1, draft, part })
      for (const [column, method] of names.entries()) {
        const put = (name: string, found: string) => {
          const row = rows.get(name)!
          row[column] = row[column] === "" || row[column] === found ? found : `${row[column]}; ${found}`
        }
        const { part: needs } = await loadMethod(method)
        const isUntrained = needs !== undefined && needs.wanted === undefined
        if (isUntrained && draft !== target.path) continue // its drafts come from random weights either way
        const way = await wayOf(model, method)
        put("drafts accepted", isUntrained ? "random weights" : await acceptsDrafts(model, way))
        for (const cell of cells) put(cell.name, await outcome(model, way, cell))
        put("abort", (await abortCell(model, way)) ? "same" : "**differs**")
      }
      await model.dispose()
    }
  } finally {
    target.remove()
    stranger.remove()
    rmSync(part, { recursive: true, force: true })
  }
  const table = { head: ["", ...names.map((name) => `\`${name}\``)], rows: [...rows].map(([a, b]) => [a, ...b]) }
  return `${introduction}\n\n${markdown(table)}\n`
}

const introduction = `# Every method with every parameter

Written by \`npx tsx scripts/write-matrix.ts\`, which runs each cell on a small random model, with a draft model that is always right and with one that knows nothing, and with random weights where a method takes trained ones; a test keeps it current.

- **same**: the tokens, texts, log-probabilities and reasons to finish of plain decoding, bit for bit, with the same seed; sampled and greedy.
- **same law**: other tokens for the same seed, but samples follow the law of plain decoding (chi-square over 500 samples).
- **refused**: a typed error.

A stop string is tried at twelve places, a limit of tokens at fourteen, so that they fall inside drafts and on their edges. An abort must leave a beginning of the whole answer, and nothing when it came before the call.`

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(fileURLToPath(new URL("../docs/matrix.md", import.meta.url)), await makeMatrix())
