/** /v1/files and /v1/batches through OpenAI's own client. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI, { toFile } from "openai"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { ServerSettings } from "../../src/server/index.ts"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
const folder = mkdtempSync(join(tmpdir(), "forerun-data-"))
beforeAll(async () => {
  model = await loadTiny({ ownProcess: true })
})
afterAll(async () => {
  await model?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const keys = ["sk-a", "sk-b"]
async function open(settings: ServerSettings = {}): Promise<Served & { readonly as: (key: string) => OpenAI }> {
  const served = await serve(model, { keys, ...settings })
  await served.app.start()
  return {
    ...served,
    as: (apiKey) => new OpenAI({ baseURL: `${served.url}/v1`, apiKey, maxRetries: 0 }),
  }
}

const endpoint = "/v1/completions"
const line = (id: string, body: object, url = endpoint) =>
  JSON.stringify({ custom_id: id, method: "POST", url, body: { model: "tiny", ...body } })
const lines = (count: number, more: object = {}) =>
  Array.from({ length: count }, (_, i) => line(`r${i}`, { prompt: `abc ${i}`, max_tokens: 12, seed: i, ...more }))
// The tokens that would end it cannot come.
const long = { max_tokens: 60, logit_bias: { "264": -100 } }

const upload = async (client: OpenAI, text: string) =>
  client.files.create({ purpose: "batch", file: await toFile(Buffer.from(text), "in.jsonl") })
async function begin(client: OpenAI, text: string) {
  const { id } = await upload(client, text)
  return client.batches.create({ input_file_id: id, endpoint, completion_window: "24h", metadata: { of: "test" } })
}
async function over(client: OpenAI, id: string) {
  for (;;) {
    const batch = await client.batches.retrieve(id)
    if (batch.completed_at ?? batch.failed_at ?? batch.cancelled_at) return batch
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
const untilAnswered = (client: OpenAI, id: string) =>
  expect
    .poll(async () => (await client.batches.retrieve(id)).request_counts!.completed, { timeout: 30_000 })
    .toBeGreaterThan(1)
const rows = async (client: OpenAI, id: string | undefined) =>
  (await (await client.files.content(id!)).text())
    .trim()
    .split("\n")
    .map((one) => JSON.parse(one))
const texts = (all: { custom_id: string; response: { body: OpenAI.Completion } }[]) =>
  Object.fromEntries(all.map(({ custom_id, response }) => [custom_id, response.body.choices[0]!.text]))

describe("a batch", () => {
  let served: Awaited<ReturnType<typeof open>>
  let client: OpenAI
  beforeAll(async () => {
    served = await open({ limits: { batches: 2, batchRequests: 60 } })
    client = served.as("sk-a")
  })
  afterAll(() => served?.close())

  test("gives the answers that its requests get one by one, failures in a file of their own", async () => {
    const bad = line("bad", { prompt: "abc", temperature: -1 })
    const batch = await begin(client, [...lines(5), bad].join("\n"))
    expect(batch).toMatchObject({ object: "batch", endpoint, completion_window: "24h", metadata: { of: "test" } })
    const done = await over(client, batch.id)
    expect(done).toMatchObject({ status: "completed", request_counts: { total: 6, completed: 5, failed: 1 } })
    expect(done.in_progress_at! <= done.finalizing_at! && done.finalizing_at! <= done.completed_at!).toBe(true)
    const answers = await rows(client, done.output_file_id)
    expect(answers[0]).toMatchObject({
      response: { status_code: 200, body: { object: "text_completion", model: "tiny" } },
    })
    const alone = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const { choices } = await client.completions.create({
          ...{ model: "tiny", prompt: `abc ${i}`, max_tokens: 12, seed: i },
        })
        return [`r${i}`, choices[0]!.text] as const
      }),
    )
    expect(texts(answers)).toEqual(Object.fromEntries(alone))
    const failed = await rows(client, done.error_file_id)
    expect(failed).toMatchObject([
      { custom_id: "bad", response: { status_code: 400, body: { error: { param: "temperature" } } } },
    ])
  })

  test("files that hold what is no request fail as a whole, each line with its reason", async () => {
    const chat = line("chat", { messages: [] }, "/v1/chat/completions")
    const done = await over(client, (await begin(client, ["no JSON", ...lines(1), chat].join("\n"))).id)
    expect(done).toMatchObject({ status: "failed", request_counts: { total: 0 } })
    expect(done.errors!.data).toMatchObject([
      { code: "invalid_line", line: 1 },
      { code: "mismatched_url", line: 3, param: "url" },
    ])
    const large = await over(client, (await begin(client, lines(61).join("\n"))).id)
    expect(large.errors!.data).toMatchObject([{ code: "too_many_requests" }])
  })

  test("is cancelled with what there is, and holds its file until then", async () => {
    const batch = await begin(client, lines(40, long).join("\n"))
    await untilAnswered(client, batch.id)
    await expect(client.files.delete(batch.input_file_id)).rejects.toMatchObject({ status: 409 })
    expect((await client.batches.cancel(batch.id)).status).toBe("cancelling")
    const done = await over(client, batch.id)
    const { completed, total } = done.request_counts!
    expect([done.status, total]).toEqual(["cancelled", 40])
    expect(completed).toBeLessThan(40)
    expect(await rows(client, done.output_file_id)).toHaveLength(completed)
    await expect(client.batches.cancel(batch.id)).rejects.toMatchObject({ status: 409 })
    expect(await client.files.delete(batch.input_file_id)).toMatchObject({ deleted: true })
  })

  test("is its owner's: another key sees no file, no batch, and cannot end it", async () => {
    const other = served.as("sk-b")
    const batch = await begin(client, lines(1).join("\n"))
    const { output_file_id } = await over(client, batch.id)
    for (const attempt of [
      () => other.batches.retrieve(batch.id),
      () => other.batches.cancel(batch.id),
      () => other.files.retrieve(batch.input_file_id),
      () => other.files.content(output_file_id!),
      () => other.files.delete(batch.input_file_id),
      () => other.batches.create({ input_file_id: batch.input_file_id, endpoint, completion_window: "24h" }),
    ])
      await expect(attempt()).rejects.toMatchObject({ status: 404 })
    expect((await other.files.list()).data).toEqual([])
    expect((await other.batches.list()).data).toEqual([])
    const ids: string[] = []
    for await (const { id } of client.batches.list({ limit: 2 })) ids.push(id) // over several pages
    expect(ids[0]).toBe(batch.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThan(4)
  })

  test("goes on after the engine was lost, with the same answers", async () => {
    const text = lines(16, long).join("\n")
    const plain = await over(client, (await begin(client, text)).id)
    const batch = await begin(client, text)
    await untilAnswered(client, batch.id)
    process.kill(model.engine().pid!, "SIGKILL")
    const done = await over(client, batch.id)
    expect(done).toMatchObject({ status: "completed", request_counts: { total: 16, completed: 16, failed: 0 } })
    expect(texts(await rows(client, done.output_file_id))).toEqual(texts(await rows(client, plain.output_file_id)))
  })

  test("there is a bound on how many wait, and on what is taken", async () => {
    const { id: input_file_id } = await upload(client, lines(40, long).join("\n"))
    const create = () => client.batches.create({ input_file_id, endpoint, completion_window: "24h" })
    const begun = [await create(), await create()]
    await expect(create()).rejects.toMatchObject({ status: 429, code: "too_many_batches" })
    await Promise.all(begun.map(({ id }) => client.batches.cancel(id)))
    await Promise.all(begun.map(({ id }) => over(client, id)))
    const wrong = { file: await toFile(Buffer.from("x"), "x"), purpose: "fine-tune" } as const
    await expect(client.files.create(wrong)).rejects.toMatchObject({ status: 400, param: "purpose" })
    const post = (body: string, type?: string) =>
      fetch(`${served.url}/v1/files`, {
        ...{ method: "POST", body },
        headers: { authorization: "Bearer sk-a", ...(type ? { "content-type": type } : {}) },
      })
    expect((await post("{}", "application/json")).status).toBe(415)
    expect((await post("nonsense", "multipart/form-data; boundary=x")).status).toBe(400)
    expect((await post("nonsense", "multipart/form-data")).status).toBe(400)
  })
})

test("a server that takes over the folder goes on with what the last one left, and answers nothing twice", async () => {
  const dataFolder = join(folder, "kept")
  const first = await open({ dataFolder })
  await expect(open({ dataFolder })).rejects.toMatchObject({ code: "E_LOCKED" })
  const batch = await begin(first.as("sk-a"), lines(40, long).join("\n"))
  await untilAnswered(first.as("sk-a"), batch.id)
  await first.close()
  expect(readdirSync(join(dataFolder, "batches"))).toContain(`${batch.id}.job`)
  const { rows: before } = await model.ledger()
  const second = await open({ dataFolder })
  try {
    const done = await over(second.as("sk-a"), batch.id)
    expect(done).toMatchObject({ status: "completed", request_counts: { total: 40, completed: 40, failed: 0 } })
    const answered = await rows(second.as("sk-a"), done.output_file_id)
    expect(new Set(answered.map(({ custom_id }) => custom_id)).size).toBe(40)
    expect((await model.ledger()).rows - before).toBeLessThan(38 * 70 + 400)
    expect(readdirSync(join(dataFolder, "batches"))).toEqual([`${batch.id}.json`])
  } finally {
    await second.close()
  }
}, 120_000)

test("files that are too large are refused, and without a folder nothing is left behind", async () => {
  const names = () => readdirSync(tmpdir()).filter((name) => name.startsWith("forerun-serve-"))
  const before = names()
  const served = await open({ limits: { fileBytes: 2000, files: 1 } })
  const client = served.as("sk-a")
  await expect(upload(client, "x".repeat(3000))).rejects.toMatchObject({ status: 413 })
  const { id } = await upload(client, "{}")
  await expect(upload(client, "{}")).rejects.toMatchObject({ status: 400, code: "too_many_files" })
  expect(await client.files.retrieve(id)).toMatchObject({ bytes: 2, purpose: "batch", filename: "in.jsonl" })
  await served.close()
  expect(names()).toEqual(before)
})
