/** forerun serve as a process: its first line, a client, and an orderly end. */

import OpenAI from "openai"
import { expect, test } from "vitest"
import { startCli } from "../support/cli-process.ts"
import { makeTinyFolder } from "../support/tiny-folder.ts"

test("says where it is, answers, finishes what it was asked when told to end", async () => {
  const tiny = makeTinyFolder()
  let out = ""
  const server = startCli(
    ["serve", "-m", tiny.path, "--port", "0", "--api-key", "k", "--json", "--threads", "1"],
    (text) => {
      out = text
    },
  )
  try {
    await expect.poll(() => out, { timeout: 60_000 }).toMatch(/\{"url":"[^"]+"\}\n/)
    const { url } = JSON.parse(/\{"url":"[^"]+"\}/.exec(out)![0])
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "k", maxRetries: 0 })
    const [model] = (await client.models.list()).data
    const stream = await client.completions.create({ model: model!.id, prompt: "ab", max_tokens: 200, stream: true })
    let texts = 0
    let reason: string | undefined
    for await (const { choices } of stream) {
      if (++texts === 2) server.child.kill("SIGTERM")
      reason = choices[0]?.finish_reason ?? reason
    }
    expect(reason).toMatch(/stop|length/)
    const { code } = await server.ended
    expect(code).toBe(0)
  } finally {
    server.child.kill("SIGKILL")
    tiny.remove()
  }
})

test("others are not let in without a key", async () => {
  const tiny = makeTinyFolder()
  try {
    const { ended } = startCli(["serve", "-m", tiny.path, "--port", "0", "--host", "0.0.0.0", "--json"])
    const { code, out } = await ended
    expect([code, JSON.parse(out).error.code]).toEqual([2, "E_OPTION"])
  } finally {
    tiny.remove()
  }
})
