/** The cache of converted weights: whole or absent, bounded, and never in the way. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import type { ForerunError } from "../base/errors.ts"
import { derivedPath, evictDerived, releaseDerived, useDerived, writeAtomically } from "./derived-cache.ts"

let home: string
let env: Record<string, string>
let problems: ForerunError[]

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "forerun-derived-"))
  env = { FORERUN_CACHE: join(home, "cache"), FORERUN_CACHE_BYTES: "2500" }
  problems = []
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const options = () => ({ env, onProblem: (problem: ForerunError) => problems.push(problem) })
const writer = (bytes: number) => (folder: string) => writeFile(join(folder, "weights.bin"), Buffer.alloc(bytes, 1))
const entries = () =>
  readdirSync(join(home, "cache"))
    .filter((name) => !name.startsWith("."))
    .sort()

function age(key: string, minutes: number): void {
  const then = new Date(Date.now() - minutes * 60_000)
  utimesSync(derivedPath(key, options()), then, then)
}

test("an entry is written once and found afterwards", async () => {
  expect(await useDerived("a", options())).toBeUndefined()
  const path = await writeAtomically("a", writer(10), options())
  expect(path).toBe(join(home, "cache", "a"))
  expect(readFileSync(join(path ?? "", "weights.bin"))).toHaveLength(10)
  expect(await useDerived("a", options())).toBe(path)
  const again = await writeAtomically("a", () => Promise.reject(new Error("not called")), options())
  expect(again).toBe(path)
})

test("keys stay in the folder", () => {
  for (const key of ["", ".", "..", "../x", "a/b", "A", "a b", ".tmp-1-x", "x".repeat(300)])
    expect(() => derivedPath(key, options())).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})

test("a writer that throws leaves nothing", async () => {
  const failing = writeAtomically(
    "a",
    async (folder) => {
      await writer(10)(folder)
      throw new Error("oops")
    },
    options(),
  )
  await expect(failing).rejects.toThrow("oops")
  expect(entries()).toEqual([])
  expect(readdirSync(join(home, "cache")).filter((name) => name.startsWith(".tmp"))).toEqual([])
})

test("two writers at once: one entry, both get it", async () => {
  const paths = await Promise.all([
    writeAtomically("a", writer(10), options()),
    writeAtomically("a", writer(10), options()),
  ])
  expect(new Set(paths).size).toBe(1)
  expect(entries()).toEqual(["a"])
})

test("the least recently used entries go first, those in use stay", async () => {
  for (const [key, minutes] of [
    ["a", 30],
    ["b", 20],
    ["c", 10],
  ] as const) {
    await writeAtomically(key, writer(1000), options())
    age(key, minutes)
  }
  expect(entries()).toEqual(["a", "b", "c"])
  for (const key of ["a", "b", "c"]) await releaseDerived(key, options())
  await useDerived("a", options())
  expect(await evictDerived(options())).toEqual(["b"])
  expect(entries()).toEqual(["a", "c"])
})

test("the mark of a dead process does not hold an entry, that of a live one does", async () => {
  await writeAtomically("a", writer(1000), options())
  await releaseDerived("a", options())
  const dead = spawnSync(process.execPath, ["-e", ""]).pid
  writeFileSync(join(home, "cache", ".in-use", `a@${dead}`), "")
  env.FORERUN_CACHE_BYTES = "1"
  writeFileSync(join(home, "cache", ".in-use", `a@${process.ppid}`), "")
  expect(await evictDerived(options())).toEqual([])
  rmSync(join(home, "cache", ".in-use", `a@${process.ppid}`))
  expect(await evictDerived(options())).toEqual(["a"])
})

test("a process killed while writing leaves no entry, and the next writer cleans up", async () => {
  const script = `import { writeAtomically } from ${JSON.stringify(new URL("./derived-cache.ts", import.meta.url).href)}
import { writeFileSync } from "node:fs"
setInterval(() => {}, 1000)
await writeAtomically("a", async (folder) => { writeFileSync(folder + "/half", "x"); console.log("writing"); await new Promise(() => {}) })`
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  })
  await once(child.stdout, "data")
  child.kill("SIGKILL")
  await once(child, "exit")
  expect(entries()).toEqual([])
  expect(readdirSync(join(home, "cache"))).toHaveLength(1)
  await writeAtomically("b", writer(10), options())
  expect(readdirSync(join(home, "cache")).sort()).toEqual([".in-use", "b"])
})

test("a disk that cannot be written is reported and the caller goes on", async () => {
  writeFileSync(join(home, "file"), "")
  env.FORERUN_CACHE = join(home, "file", "cache")
  expect(await writeAtomically("a", writer(10), options())).toBeUndefined()
  expect(await useDerived("a", options())).toBeUndefined()
  expect(problems[0]).toMatchObject({ code: "E_IO" })
  env.FORERUN_CACHE = join(home, "cache")
  const full = async () => {
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
  }
  expect(await writeAtomically("a", full, options())).toBeUndefined()
  expect(problems.at(-1)).toMatchObject({ code: "E_IO", hint: expect.stringContaining("full") })
  expect(entries()).toEqual([])
})

test("FORERUN_CACHE_BYTES=0 turns it off; nonsense is refused", async () => {
  env.FORERUN_CACHE_BYTES = "0"
  expect(await writeAtomically("a", writer(10), options())).toBeUndefined()
  expect(existsSync(join(home, "cache"))).toBe(false)
  env.FORERUN_CACHE_BYTES = "many"
  await expect(writeAtomically("a", writer(10), options())).rejects.toMatchObject({ code: "E_OPTION" })
  mkdirSync(join(home, "cache"))
})
