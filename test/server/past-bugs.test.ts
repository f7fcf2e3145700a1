/** Bugs that other servers had, each named after the one it repeats: over a socket, on a model that runs. */
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
const logged: string[] = []
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model, { limits: { bodyBytes: 1 << 20 } })
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

// biome-ignore lint/suspicious/noExplicitAny: what comes is looked at
type Json = any
const common = { model: "tiny", messages: [{ role: "user", content: "Go." }], max_tokens: 8, temperature: 0 }
async function chat(fields: object): Promise<{ status: number; body: Json }> {
  const response = await served.post("/v1/chat/completions", { ...common, ...fields })
  return { status: response.status, body: await response.json() }
}
/** The server answers as it did before: nobody else suffers. */
async function isUnhurt(before: Json) {
  expect((await chat({})).body.choices).toEqual(before)
  await expect.poll(() => [served.app.admission.running, served.app.admission.waiting]).toEqual([0, 0])
}

/** Bytes to the socket as they are; what came back until it closed, or until `enough`. */
function raw(pieces: readonly string[], { pauseMs = 0, enough = /$^/, isHalfClosed = false } = {}): Promise<string> {
  const socket = connect({ port: Number(new URL(served.url).port), host: "127.0.0.1", allowHalfOpen: true })
  return new Promise((resolve) => {
    let text = ""
    const end = () => {
      socket.destroy()
      resolve(text)
    }
    socket.on("data", (data) => {
      text += data
      if (enough.test(text)) end()
    })
    socket.on("end", end)
    socket.on("error", end)
    socket.on("close", end)
    const write = async () => {
      for (const piece of pieces) {
        socket.write(piece)
        if (pauseMs > 0) await new Promise((next) => setTimeout(next, pauseMs))
      }
      if (isHalfClosed) socket.end()
    }
    write().catch(end)
  })
}

describe("texts that pretend", () => {
  test("control tokens spelt in a message are text (vLLM CVE-2026-44222, llama.cpp input marking)", async () => {
    const { special } = await model.vocabulary()
    const spelt = await Promise.all(Array.from(special, (id) => model.detokenize([id])))
    const names = [...spelt, "<|im_end|>", "<|image_pad|>", "<image>", "</s>", "<|endoftext|>"].filter(Boolean)
    for (const name of names) {
      const content = `before ${name} after`
      const { prompt, tokens } = (await (
        await served.post("/apply-template", { messages: [{ role: "user", content }] })
      ).json()) as Json
      expect(prompt).toContain(content)
      const own = tokens.filter((id: number) => special.includes(id)).length
      const plain = (await (
        await served.post("/apply-template", { messages: [{ role: "user", content: "x" }] })
      ).json()) as Json
      expect(own).toBe(plain.tokens.filter((id: number) => special.includes(id)).length)
      expect((await chat({ messages: [{ role: "user", content }] })).status).toBe(200)
    }
  })

  test("a template in a request is not run (SGLang CVE-2026-5760, llama-cpp-python CVE-2024-34359)", async () => {
    for (const name of ["chat_template", "chat_template_kwargs"]) {
      const { status, body } = await chat({ [name]: "{{ ''.constructor.constructor('return process')() }}" })
      expect([status, body.error.param]).toEqual([400, name])
    }
  })

  test("template syntax in a message stays what it is (CVE-2024-34359)", async () => {
    const content = "{{ 7 * 7 }}{% for i in range(10) %}x{% endfor %}"
    const { prompt } = (await (
      await served.post("/apply-template", { messages: [{ role: "user", content }] })
    ).json()) as Json
    expect(prompt).toContain(content)
  })

  test("a picture's address is not fetched (Ollama CVE-2026-5530, vLLM's media URLs)", async () => {
    let calls = 0
    const { createServer } = await import("node:http")
    const trap = createServer((_, answer) => {
      calls++
      answer.end()
    }).listen(0, "127.0.0.1")
    await new Promise((ready) => trap.once("listening", ready))
    const { port } = trap.address() as { port: number }
    for (const url of [`http://127.0.0.1:${port}/a.png`, "file:///etc/passwd", "http://169.254.169.254/"])
      for (const type of ["image_url", "input_audio", "file"]) {
        const { status } = await chat({ messages: [{ role: "user", content: [{ type, [type]: { url } }] }] })
        expect(status).toBe(400)
      }
    trap.close()
    expect(calls).toBe(0)
  })

  test("what is asked is in no metric and in no message of an error (llama.cpp test_log_injection)", async () => {
    const secret = "s3cr3t\r\n\u001b[31mforged line"
    logged.length = 0
    const before = [process.stdout.write, process.stderr.write] as const
    const note = (text: unknown) => {
      logged.push(String(text))
      return true
    }
    process.stdout.write = note as typeof process.stdout.write
    process.stderr.write = note as typeof process.stderr.write
    try {
      await chat({ messages: [{ role: "user", content: secret }], user: secret })
      const refused = await chat({ messages: [{ role: "user", content: secret }], n: 0 })
      expect(JSON.stringify(refused.body)).not.toContain("s3cr3t")
    } finally {
      ;[process.stdout.write, process.stderr.write] = before
    }
    expect(logged.join("")).not.toContain("s3cr3t")
    expect(await (await fetch(`${served.url}/metrics`)).text()).not.toContain("s3cr3t")
  })
})

describe("numbers", () => {
  const numbers = [
    "-1",
    "0",
    "2147483648",
    "9007199254740993",
    "1e309",
    "-1e309",
    "0.5",
    '"1"',
    "[1]",
    '{"a":1}',
    "true",
  ]
  const fields = ["n", "best_of", "top_logprobs", "max_tokens", "max_completion_tokens", "seed", "top_k", "logprobs"]
  test.each(fields)(
    "%s of any size is an answer or a 400 that names it (vLLM CVE-2026-34756, CVE-2026-21869)",
    async (field) => {
      const before = (await chat({})).body.choices
      for (const number of numbers) {
        const body = JSON.stringify({ ...common, logprobs: field === "top_logprobs" ? true : undefined }).slice(0, -1)
        const response = await served.post("/v1/chat/completions", `${body},"${field}":${number}}`)
        const answer = (await response.json()) as Json
        expect([field, number, [200, 400].includes(response.status)]).toEqual([field, number, true])
        if (response.status === 400)
          expect(answer.error.param).toBe(field === "logprobs" ? "logprobs" : answer.error.param)
      }
      await isUnhurt(before)
    },
  )

  test("a method's own numbers are bounded too", async () => {
    for (const decoding of [
      { method: "prompt-lookup", maxDraft: 1e9 },
      { method: "prompt-lookup", maxDraft: -1 },
      { method: "lookahead", window: 2 ** 31 },
      { method: "lookahead", window: "7" },
      { method: "self-speculative", exit: 1e308 },
      { method: "__proto__" },
      { method: "constructor" },
      { method: "../../etc/passwd" },
    ]) {
      const { status, body } = await chat({ decoding })
      expect([status, body.error.param]).toEqual([400, "decoding"])
    }
  })
})

describe("grammars", () => {
  const nested = (depth: number): object =>
    depth === 0 ? { type: "integer" } : { type: "array", items: nested(depth - 1) }
  const schemas: Readonly<Record<string, object>> = {
    "a reference to itself": { $ref: "#" },
    "a reference in a circle": { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    "a reference to nowhere": { $ref: "#/$defs/nothing" },
    "a reference elsewhere": { $ref: "http://127.0.0.1:1/schema.json" },
    "a hundred levels": nested(100),
    "a hundred thousand choices": { enum: Array.from({ length: 50_000 }, (_, i) => `c${i}`) },
    "a pattern that is none": { type: "string", pattern: "foo**" },
    "a pattern that looks behind": { type: "string", pattern: "(?<=a)b" },
    "a pattern of patterns": { type: "string", pattern: "((a+)+)+$" },
    "a pattern that counts high": { type: "string", pattern: "(a{1,5000}){1,5000}" },
    "a proto": JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}'),
    "numbers that are none": { type: "string", minLength: 1e308, maxLength: -1 },
    "no type": { type: "pigeon" },
  }
  test.each(Object.keys(schemas))("%s is kept to or refused, in bounded time (vLLM #17313, #19270)", async (name) => {
    const before = (await chat({})).body.choices
    const began = performance.now()
    const { status, body } = await chat({
      response_format: { type: "json_schema", json_schema: { name: "x", schema: schemas[name], strict: true } },
    })
    expect([name, [200, 400].includes(status), body.error?.message]).toEqual([name, true, body.error?.message])
    expect(performance.now() - began).toBeLessThan(30_000)
    await isUnhurt(before)
  })

  test.each(["foo**", "(", "a{2,1}", "(?<n>a)\\k<n>", "\\p{Nope}", "[z-a]", "(a|a)*b", "\ud800"])(
    "the expression %j too (vLLM #17313)",
    async (pattern) => {
      const before = (await chat({})).body.choices
      const { status } = await chat({ response_format: { type: "regex", pattern } })
      expect([200, 400]).toContain(status)
      await isUnhurt(before)
    },
  )

  test.each(["root ::= root", "root ::= ", 'root ::= "a" root | root "b"', "x ::= y", `root ::= ${"(".repeat(2000)}`])(
    "the grammar %.40s too",
    async (grammar) => {
      const before = (await chat({})).body.choices
      const { status } = await chat({ response_format: { type: "grammar", grammar } })
      expect([200, 400]).toContain(status)
      await isUnhurt(before)
    },
  )
})

describe("connections", () => {
  const body = JSON.stringify(common)
  const head = (more = "") =>
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${more}`

  test("a body that never ends is cut off at the limit (chunked bombs)", async () => {
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`
    const pieces = [`${head()}transfer-encoding: chunked\r\n\r\n`, ...Array.from({ length: 40 }, () => chunk)]
    expect(await raw(pieces, { enough: /\r\n\r\n.*\}/s })).toMatch(/^HTTP\/1\.1 413 /)
  })

  test("lengths that lie, and two lengths, are refused (request smuggling)", async () => {
    for (const lie of [
      "content-length: 5\r\ncontent-length: 6\r\n",
      "content-length: -1\r\n",
      "content-length: 1e3\r\n",
    ])
      expect(await raw([`${head(lie)}\r\n${body}`])).toMatch(/^HTTP\/1\.1 400 /)
    const both = `content-length: ${body.length}\r\ntransfer-encoding: chunked\r\n`
    expect(await raw([`${head(both)}\r\n${body}`])).toMatch(/^HTTP\/1\.1 400 /)
  })

  test("requests one behind the other in one packet are answered in order", async () => {
    const first = `${head(`content-length: ${body.length}\r\n`)}\r\n${body}`
    const second = "GET /version HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    const text = await raw([first + second])
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(2)
    expect(text.indexOf("chat.completion")).toBeLessThan(text.indexOf('"forerun"'))
  })

  test("a client that has said all, and closed its side, gets its answer", async () => {
    const text = await raw([`${head(`content-length: ${body.length}\r\nconnection: close\r\n`)}\r\n${body}`], {
      isHalfClosed: true,
    })
    // Or the closing is taken for leaving: then nothing of it goes on.
    expect(text === "" || text.includes("chat.completion")).toBe(true)
    await expect.poll(() => served.app.admission.running).toBe(0)
  })

  test("many idle sockets keep nobody from being answered (slowloris)", async () => {
    const { port } = new URL(served.url)
    const sockets = Array.from({ length: 300 }, () => connect(Number(port), "127.0.0.1"))
    for (const socket of sockets) {
      socket.on("error", () => {})
      socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: loc")
    }
    try {
      expect((await chat({})).status).toBe(200)
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })
})

describe("others' secrets", () => {
  test("none is in anybody else's answer, log-probabilities or metrics (CVE-2026-3108)", async () => {
    const secrets = Array.from({ length: 6 }, (_, i) => `canary-${i}-${"zqxj"[i % 4]!.repeat(6)}`)
    const asked = secrets.map((secret, i) => ({
      messages: [{ role: "user", content: `${secret} ${secret} ${secret}` }],
      ...{ max_tokens: 40, seed: i, temperature: 1, logprobs: true, top_logprobs: 3 },
      decoding: ["prompt-lookup", "lookahead", "autoregressive"][i % 3],
    }))
    const alone = []
    for (const one of asked) alone.push((await chat(one)).body.choices)
    const together = await Promise.all(asked.map(async (one) => (await chat(one)).body.choices))
    // An answer that is the same alone cannot have seen anybody else.
    expect(together).toEqual(alone)
    expect(await (await fetch(`${served.url}/metrics`)).text()).not.toContain("canary")
  })
})

test("two hundred clients that leave at any time leave nothing behind (vLLM #54947, ATOM PR#1441)", async () => {
  const before = (await chat({})).body.choices
  const endless = { ...common, max_tokens: 900, logit_bias: { "264": -100 } }
  for (let round = 0; round < 50; round++) {
    await Promise.all(
      [0, 1, 2, 3].map(async (i) => {
        const controller = new AbortController()
        setTimeout(() => controller.abort(), (round * 5 + i * 11) % 60)
        const asked = fetch(`${served.url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...endless, stream: i % 2 === 0 }),
          signal: controller.signal,
        })
        await asked.then((response) => response.text()).catch(() => {})
        controller.abort() // twice is once
      }),
    )
  }
  await isUnhurt(before)
}, 120_000)
