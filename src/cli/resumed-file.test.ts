/** A file of results survives a killed process and refuses to mix two runs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { openResumed, withFields } from "./resumed-file.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-resumed-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("what was written is found again; half a line is cut off and written anew", () => {
  const path = join(folder, "results.jsonl")
  const settings = { model: "m", iterations: 5 }
  const first = openResumed(path, settings)
  first.append("a", { score: 1 })
  first.append("b", { score: 2 })
  first.close()
  const whole = readFileSync(path, "utf8")
  writeFileSync(path, whole.slice(0, -4))
  const second = openResumed(path, settings)
  expect([...second.keys]).toEqual(["a"])
  expect(second.read("a", withFields<{ score: number }>({ score: "number" }))).toEqual({ score: 1 })
  expect(second.read("b", withFields<{ score: number }>({ score: "number" }))).toBeUndefined()
  second.append("b", { score: 2 })
  second.close()
  expect(readFileSync(path, "utf8")).toBe(whole)
})

test("other settings and other files are refused, and left as they are", () => {
  const path = join(folder, "other.jsonl")
  openResumed(path, { model: "m", iterations: 5 }).close()
  const before = readFileSync(path, "utf8")
  const input = (message: string) =>
    expect.objectContaining({ code: "E_INPUT", message: expect.stringContaining(message) })
  expect(() => openResumed(path, { model: "n", seed: 1 })).toThrow(input("model, iterations, seed"))
  expect(readFileSync(path, "utf8")).toBe(before)
  const foreign = join(folder, "foreign.jsonl")
  writeFileSync(foreign, '{"id":1}\n')
  expect(() => openResumed(foreign, {})).toThrow(input("not a file of results"))
  writeFileSync(foreign, "text\n")
  expect(() => openResumed(foreign, {})).toThrow(input("line 1"))
  expect(() => openResumed(folder, {})).toThrow(expect.objectContaining({ code: "E_IO" }))
})

test("a line that is not what is looked for is refused", () => {
  const path = join(folder, "shapes.jsonl")
  const first = openResumed(path, {})
  first.append("a", { id: 1, list: [2], record: { x: 1 }, text: "t" })
  first.close()
  const file = openResumed(path, {})
  for (const [name, kind] of [
    ["id", "id"],
    ["list", "list"],
    ["record", "record"],
    ["text", "text"],
  ] as const) {
    expect(file.read("a", withFields({ [name]: kind }))).toBeDefined()
    for (const other of ["text", "number", "list", "record"] as const)
      if (other !== kind && !(name === "id" && other === "number"))
        expect(() => file.read("a", withFields({ [name]: other }))).toThrow(
          expect.objectContaining({ code: "E_INPUT" }),
        )
  }
  file.close()
})

test("files of several processes can be joined; one of other settings among them is refused", () => {
  const parts = ["x", "y"].map((name) => {
    const path = join(folder, `${name}.jsonl`)
    const file = openResumed(path, { model: "m" })
    file.append(name, { score: 1 })
    file.close()
    return readFileSync(path, "utf8")
  })
  const path = join(folder, "joined.jsonl")
  writeFileSync(path, parts.join(""))
  const joined = openResumed(path, { model: "m" })
  expect([...joined.keys]).toEqual(["x", "y"])
  joined.close()
  writeFileSync(path, [...parts, parts[0]!.replace('"m"', '"n"')].join(""))
  expect(() => openResumed(path, { model: "m" })).toThrow(expect.objectContaining({ code: "E_INPUT" }))
})
