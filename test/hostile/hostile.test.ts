/** Thousands of hostile model files: each opens soundly or is refused with a typed error, fast and in bounded memory. */

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { ForerunError } from "../../src/base/errors.ts"
import { openCheckpoint } from "../../src/models/files/checkpoint.ts"
import { configError } from "../../src/models/files/format-error.ts"
import { configFromHf } from "../../src/models/files/hf-config.ts"
import { parseJsonObject } from "../../src/models/files/json.ts"
import { expectedTensors } from "../../src/models/files/validate-weights.ts"
import { configMutants } from "./config-mutants.ts"
import { folderMutants } from "./folder-mutants.ts"
import { ggufMutants } from "./gguf-mutants.ts"
import type { Mutant } from "./mutant.ts"

const CODES = new Set(["E_MODEL_FORMAT", "E_MODEL_UNSUPPORTED", "E_CONFIG", "E_IO", "E_MODEL_NOT_FOUND"])
const SLOWEST = 1000 // milliseconds
const MEMORY = 48 * 2 ** 20 // bytes over 16 times the input; the strict JSON parser and V8's own noise fit in it

const scratch = mkdtempSync(join(tmpdir(), "forerun-hostile-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const openDescriptors = (): number => {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return 0 // not Linux
  }
}
const memory = (): number => {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Opens it and reads every weight. @returns the error's code, undefined when all went well */
function open(path: string): string | undefined {
  try {
    const checkpoint = openCheckpoint(path)
    assertFinite(checkpoint.config)
    for (const [name, { shape }] of checkpoint.weights.tensors) {
      if (!expectedTensors(checkpoint.config).has(name)) continue
      const wanted = shape.reduce((product, size) => product * size, 1)
      if (checkpoint.weights.float32(name).length !== wanted) throw new Error(`${name}: wrong length`)
    }
    checkpoint.close()
    return undefined
  } catch (thrown) {
    return codeOf(thrown)
  }
}

/** Every number in a config that opened must be one to calculate with. */
function assertFinite(value: unknown, where = "config"): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${where} is ${value}`)
  if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) assertFinite(inner, `${where}.${key}`)
}

function codeOf(thrown: unknown): string {
  if (thrown instanceof ForerunError && CODES.has(thrown.code)) return thrown.code
  return `not a typed error: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`
}

/** What is wrong with an outcome, undefined if nothing. */
function judge(
  outcome: Mutant["outcome"],
  code: string | undefined,
  milliseconds: number,
  bytes: number,
): string | undefined {
  if (code?.startsWith("not a typed error")) return code
  if (outcome === "refused" && code === undefined) return "was not refused"
  if (outcome === "opens" && code !== undefined) return `was refused with ${code}`
  if (milliseconds > SLOWEST) return `took ${milliseconds.toFixed(0)} ms`
  if (bytes > MEMORY) return `took ${(bytes / 2 ** 20).toFixed(0)} MiB more than its share`
  return undefined
}

function sizeOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size
  return readdirSync(path)
    .map((name) => statSync(join(path, name), { throwIfNoEntry: false }))
    .reduce((sum, entry) => sum + (entry?.isFile() ? entry.size : 0), 0)
}

function runFiles(mutants: readonly Mutant[]): string[] {
  const failures: string[] = []
  const before = openDescriptors()
  mutants.forEach((mutant, index) => {
    const folder = join(scratch, `${index}-${mutants.length}`)
    mkdirSync(folder)
    const path = mutant.write(folder)
    const share = 16 * safely(() => sizeOf(path))
    const memoryBefore = memory()
    const start = performance.now()
    const code = open(path)
    const wrong = judge(mutant.outcome, code, performance.now() - start, memory() - memoryBefore - share)
    if (wrong !== undefined) failures.push(`${mutant.name}: ${wrong}`)
    rmSync(folder, { recursive: true })
  })
  if (openDescriptors() > before) failures.push(`${openDescriptors() - before} files were left open`)
  return failures
}

function safely(size: () => number): number {
  try {
    return size()
  } catch {
    return 0
  }
}

const total = { count: 0 }

describe("hostile model files", () => {
  for (const [kind, make] of [["GGUF", ggufMutants] as const, ["folders", folderMutants] as const])
    it(`${kind}: open soundly or are refused`, () => {
      const mutants = make()
      total.count += mutants.length
      expect(runFiles(mutants)).toEqual([])
    })

  it("config.json: read soundly or refused", () => {
    const mutants = configMutants()
    total.count += mutants.length
    const failures: string[] = []
    for (const { name, text, outcome } of mutants) {
      const memoryBefore = memory()
      const start = performance.now()
      let code: string | undefined
      try {
        const config = configFromHf(parseJsonObject(text, "config.json", configError), "config.json")
        assertFinite(config)
        expectedTensors(config)
      } catch (thrown) {
        code = codeOf(thrown)
      }
      const wrong = judge(outcome, code, performance.now() - start, memory() - memoryBefore - 16 * text.length)
      if (wrong !== undefined) failures.push(`${name}: ${wrong}`)
    }
    expect(failures).toEqual([])
  })

  it("number at least 2,000 and pollute nothing", () => {
    expect(total.count).toBeGreaterThan(2000)
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined()
  })
})
