/** Asks a server for every method with every parameter and writes docs/http-matrix.md: npx tsx scripts/write-http-matrix.ts */
import { rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import OpenAI from "openai"
import { markdown } from "../src/bench/tables.ts"
import { predictionFor } from "../src/generate/prediction.ts"
import { continuationNames, methodNames } from "../src/methods/index.ts"
import { loadModel } from "../src/server/load-model.ts"
import { writeRandomParts } from "../test/support/random-parts.ts"
import { makeServedFolder, type Served, serve } from "../test/support/served.ts"
import { tinyEnd } from "../test/support/tiny-folder.ts"

/** Repeats itself, so that copying from it drafts something. */
const text = "the sea and the sea and the sea and the"
const model = "tiny"
const plain = { model, prompt: text, max_tokens: 24, temperature: 1, seed: 5, logit_bias: { [tinyEnd]: -100 } }
const chat = { model, messages: [{ role: "user" as const, content: text }], max_tokens: 24, temperature: 0, seed: 5 }
const schema = {
  type: "object",
  properties: { city: { enum: ["Rome", "Oslo"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "days"],
  additionalProperties: false,
}
const tools = [{ type: "function" as const, function: { name: "plan", parameters: schema } }]

/** @param way fields that choose the method; @returns what must be equal to what plain decoding gives */
type See = (client: OpenAI, way: object, served: Served) => Promise<unknown>

const choices =
  (fields: object): See =>
  async (client, way) =>
    (await client.completions.create({ ...plain, ...fields, ...way } as typeof plain)).choices
const chatChoices =
  (fields: object): See =>
  async (client, way) =>
    withoutIds((await client.chat.completions.create({ ...chat, ...fields, ...way } as typeof chat)).choices)

/** Calls of tools have an id of their own each. */
const withoutIds = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll(/"call_\w+"/g, '"call"'))

const cells: Readonly<Record<string, See>> = {
  "temperature: 0": choices({ temperature: 0 }),
  temperature: choices({ temperature: 0.7 }),
  top_p: choices({ top_p: 0.8 }),
  top_k: choices({ top_k: 5 }),
  min_p: choices({ min_p: 0.3 }),
  repetition_penalty: choices({ repetition_penalty: 1.4 }),
  presence_penalty: choices({ presence_penalty: 1.5 }),
  frequency_penalty: choices({ frequency_penalty: 1.5 }),
  logit_bias: choices({ logit_bias: { ...plain.logit_bias, 116: 4, 104: -3 } }),
  seed: choices({ seed: 99 }),
  max_tokens: choices({ max_tokens: 5 }),
  n: choices({ n: 3 }),
  "several prompts": choices({ prompt: [text, "abc abc abc"] }),
  logprobs: choices({ logprobs: 5 }),
  echo: choices({ logprobs: 2, echo: true }),
  async stop(client, way, served) {
    const { text: whole } = ((await choices({})(client, {}, served)) as { text: string }[])[0]!
    return choices({ stop: whole.slice(7, 10), logprobs: 0 })(client, way, served)
  },
  async stream(client, way) {
    let streamed = ""
    for await (const { choices } of await client.completions.create({ ...plain, ...way, stream: true }))
      streamed += choices[0]!.text
    return streamed
  },
  chat: chatChoices({ logprobs: true, top_logprobs: 2 }),
  "regex (response_format)": chatChoices({
    response_format: { type: "regex", pattern: "(the sea and ){2,4}[0-9]{3}" },
  }),
  json_schema: chatChoices({
    response_format: { type: "json_schema", json_schema: { name: "x", schema } },
    max_tokens: 60,
  }),
  tools: chatChoices({ tools, tool_choice: "required", parallel_tool_calls: false, max_tokens: 90 }),
  "schema, streamed": async (client, way) => {
    const format = { type: "json_schema" as const, json_schema: { name: "x", schema } }
    const request = { ...chat, ...way, response_format: format, max_tokens: 60 }
    return (await client.chat.completions.stream(request).finalChatCompletion()).choices[0]!.message.content
  },
  async "left while streaming"(client, way, { app }) {
    const stream = await client.completions.create({ ...plain, ...way, max_tokens: 600, stream: true })
    for await (const _ of stream) break
    for (let wait = 0; app.admission.running > 0; wait++) {
      if (wait > 200) return "still running"
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return "given back"
  },
  /** Another answer, which plain decoding gives meanwhile: it must be what it is alone. */
  async "beside another"(client, way, served) {
    const other = { prompt: "abc abc abc", max_tokens: 40, seed: 9, logprobs: 1 }
    const [beside] = await Promise.all([
      choices(other)(client, {}, served),
      choices({ presence_penalty: 1, logprobs: 1 })(client, way, served).catch(() => {}),
    ])
    return beside
  },
}

async function outcome(see: See, way: object, served: Served): Promise<string> {
  const expected = JSON.stringify(await see(served.client, {}, served))
  try {
    return JSON.stringify(await see(served.client, way, served)) === expected ? "same" : "**differs**"
  } catch (thrown) {
    if (thrown instanceof OpenAI.APIError && thrown.status === 400) return `400 \`${thrown.param}\``
    return `**${(thrown as Error).message}**`
  }
}

/** Whether the method was asked at all: what it does shows in the numbers beside the answer. */
async function draftsOf(way: object, { client }: Served): Promise<string> {
  const answer = await client.completions.create({ ...plain, ...way, temperature: 0, max_tokens: 100 } as typeof plain)
  const { metrics } = answer as { metrics?: { speculative_decoding: { num_spec_steps: number } } }
  return metrics === undefined ? "–" : metrics.speculative_decoding.num_spec_steps > 0 ? "yes" : "no"
}

/** One column a method that continues text; the last is for all the others. */
export async function makeHttpMatrix(): Promise<string> {
  const names = await continuationNames()
  const others = methodNames.filter((name) => !names.includes(name))
  const folder = makeServedFolder()
  const part = await writeRandomParts(folder.path)
  const loaded = await loadModel(folder.path, { weights: "f32", threads: 1, draft: folder.path, part })
  const served = await serve(loaded)
  try {
    const answer = (await served.client.completions.create({ ...plain, temperature: 0 })).choices[0]!.text
    const columns = new Map<string, readonly object[]>()
    for (const name of names) {
      const takesOne = "prediction" in (await predictionFor(name, { prediction: "x" }))
      const content = `${answer.slice(0, 8)}~${answer.slice(9)}`
      const prediction = takesOne ? { prediction: { type: "content", content } } : {}
      columns.set(`\`${name}\``, [{ decoding: name, ...prediction }])
    }
    columns.set(
      others.map((name) => `\`${name}\``).join(", "),
      others.map((decoding) => ({ decoding })),
    )
    const drafts = []
    for (const ways of columns.values()) drafts.push(ways.length > 1 ? "" : await draftsOf(ways[0]!, served))
    const rows = [["drafts verified", ...drafts]]
    for (const [name, see] of Object.entries(cells)) {
      const row = [name]
      for (const ways of columns.values()) {
        const found = new Set<string>()
        for (const way of ways) found.add(await outcome(see, way, served))
        row.push([...found].join("; "))
      }
      rows.push(row)
    }
    return `${introduction}\n\n${markdown({ head: ["", ...columns.keys()], rows })}\n`
  } finally {
    await served.close()
    await loaded.dispose()
    folder.remove()
    rmSync(part, { recursive: true, force: true })
  }
}

const introduction = `# Every method with every parameter, over HTTP

Written by \`npx tsx scripts/write-http-matrix.ts\`, which asks a server on a small random model through OpenAI's client, with random weights where a method takes trained ones; a test keeps it current. [The same without a server](matrix.md) is tried at more places.

- **same**: the choices of plain decoding, log-probabilities and reasons to finish included, bit for bit.
- **400**: refused, with the parameter that the error names. The methods of the last column do not continue a text: they have verbs of their own on the command line.

"Left while streaming": the client goes after the first piece, and the server has its turn back. "Beside another": what plain decoding answers to somebody else at the same time is what it answers alone.`

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(fileURLToPath(new URL("../docs/http-matrix.md", import.meta.url)), await makeHttpMatrix())
