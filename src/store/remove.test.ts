/** Listing and removing what lies in the cache. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { type FakeHub, fakeGguf, sha256Of, startFakeHub } from "./fake-hub.ts"
import { listModels } from "./list.ts"
import { pullModel } from "./pull.ts"
import { removeModel } from "./remove.ts"

const q4 = fakeGguf(1000, 4)
const q8 = fakeGguf(2000, 8)
let hub: FakeHub
let home: string
let env: Record<string, string>
let folder: string

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "forerun-remove-"))
  folder = join(home, "hub", "models--user--repo")
  hub = await startFakeHub({ "m.Q4_0.gguf": q4, "m.Q8_0.gguf": q8 })
  env = { HF_HUB_CACHE: join(home, "hub"), HF_ENDPOINT: hub.url }
  for (const quant of ["Q4_0", "Q8_0"]) await pullModel(`user/repo:${quant}`, { env })
})
afterEach(async () => {
  await hub.close()
  rmSync(home, { recursive: true, force: true })
})

test("lists snapshots with sizes, and says what is incomplete", async () => {
  const [model] = await listModels({ env })
  expect(model).toEqual({
    name: "user/repo",
    source: "cache",
    path: join(folder, "snapshots", hub.commit),
    revision: hub.commit,
    files: [
      { name: "m.Q4_0.gguf", bytes: 1000 },
      { name: "m.Q8_0.gguf", bytes: 2000 },
    ],
    bytes: 3000,
    complete: true,
  })
  writeFileSync(join(folder, "blobs", "abc.incomplete"), "x")
  expect((await listModels({ env }))[0]?.complete).toBe(false)
  rmSync(join(folder, "blobs", "abc.incomplete"))
  rmSync(join(folder, "blobs", sha256Of(q4)))
  expect((await listModels({ env }))[0]).toMatchObject({ complete: false, bytes: 2000 })
})

test("lists FORERUN_MODELS", async () => {
  mkdirSync(join(home, "models", "tiny"), { recursive: true })
  writeFileSync(join(home, "models", "tiny", "config.json"), "{}")
  writeFileSync(join(home, "models", "tiny", "model.safetensors"), "12345678")
  writeFileSync(join(home, "models", "a.Q8_0.gguf"), "GGUF")
  const models = await listModels({ env: { ...env, FORERUN_MODELS: join(home, "models") } })
  expect(models.map(({ name, source, bytes }) => [name, source, bytes])).toEqual([
    ["a.Q8_0", "FORERUN_MODELS", 4],
    ["tiny", "FORERUN_MODELS", 10],
    ["user/repo", "cache", 3000],
  ])
  await expect(removeModel("tiny", { env: { ...env, FORERUN_MODELS: join(home, "models") } })).rejects.toMatchObject({
    code: "E_OPTION",
  })
})

test("removes one quant type, then the rest, and leaves no empty folders", async () => {
  expect(await removeModel("user/repo:q4_0", { env })).toEqual({
    name: "user/repo",
    files: ["m.Q4_0.gguf"],
    bytes: 1000,
  })
  expect(readdirSync(join(folder, "blobs"))).toEqual([sha256Of(q8)])
  expect(await removeModel("user/repo", { env })).toMatchObject({ bytes: 2000 })
  expect(existsSync(folder)).toBe(false)
  await expect(removeModel("user/repo", { env })).rejects.toMatchObject({ code: "E_MODEL_NOT_FOUND" })
})

test("a blob that another snapshot needs stays", async () => {
  const first = hub.commit
  hub.commit = "d".repeat(40)
  hub.files.set("m.Q4_0.gguf", fakeGguf(1500, 5))
  for (const quant of ["Q4_0", "Q8_0"]) await pullModel(`user/repo:${quant}`, { env })
  expect(await removeModel(`user/repo@${first}`, { env })).toMatchObject({ bytes: 1000 })
  expect(readdirSync(join(folder, "snapshots"))).toEqual([hub.commit])
  expect(readdirSync(join(folder, "blobs"))).toHaveLength(2)
})

test("refuses what is locked, outside, or a link to the outside", async () => {
  const lock = join(home, "hub", ".locks", "models--user--repo", "abc.forerun.lock")
  mkdirSync(lock)
  await expect(removeModel("user/repo", { env })).rejects.toMatchObject({ code: "E_LOCKED" })
  rmSync(lock, { recursive: true })
  const outside = join(home, "outside")
  mkdirSync(join(outside, "blobs"), { recursive: true })
  writeFileSync(join(outside, "blobs", "precious"), "x")
  symlinkSync(outside, join(home, "hub", "models--user--link"))
  await expect(removeModel("user/link", { env })).rejects.toMatchObject({ code: "E_OPTION" })
  await expect(removeModel(join(outside, "blobs"), { env })).rejects.toMatchObject({ code: "E_OPTION" })
  await expect(removeModel("hf:../outside", { env })).rejects.toMatchObject({ code: "E_OPTION" })
  expect(existsSync(join(outside, "blobs", "precious"))).toBe(true)
})
