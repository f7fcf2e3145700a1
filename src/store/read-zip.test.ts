/** The zip reader on good files, lying ones, and ones cut off or altered anywhere. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import { type FakeEntry, makeZip } from "./fake-zip.ts"
import { listZip, readZipEntry } from "./read-zip.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-zip-"))
const path = join(folder, "x.zip")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function readAll(zip: Buffer): Promise<Record<string, Buffer>> {
  writeFileSync(path, zip)
  const files: Record<string, Buffer> = {}
  for (const entry of await listZip(path)) {
    const chunks: Uint8Array[] = []
    for await (const chunk of readZipEntry(path, entry)) chunks.push(chunk)
    files[entry.name] = Buffer.concat(chunks)
  }
  return files
}

const text = Buffer.from("hello ".repeat(1000))

test("stored, deflated and empty files come out as they went in", async () => {
  const zip = makeZip([
    { name: "a.txt", bytes: text },
    { name: "b/c.txt", bytes: text, stored: true },
    { name: "empty", bytes: Buffer.alloc(0), stored: true },
  ])
  expect(await readAll(zip)).toEqual({ "a.txt": text, "b/c.txt": text, empty: Buffer.alloc(0) })
})

test.each<[string, Partial<FakeEntry>]>([
  ["a wrong checksum", { crc: 1 }],
  ["a bomb: more than it says", { size: 10 }],
  ["less than it says", { size: 100_000 }],
  ["encryption", { flags: 1 }],
  ["another compression", { method: 12 }],
  ["stored, but deflated", { method: 0 }],
  ["an offset out of bounds", { offset: 0x7fffffff }],
  ["an offset to no header", { offset: 3 }],
  ["zip64", { size: 0xffffffff }],
])("%s is refused", async (_, lie) => {
  await expect(readAll(makeZip([{ name: "a.txt", bytes: text, ...lie }]))).rejects.toMatchObject({ code: "E_DOWNLOAD" })
})

test("cut off anywhere, or with any byte altered, it is an error or the right text, never another text or a crash", async () => {
  const zip = makeZip([{ name: "a.txt", bytes: text }])
  const mutants = Array.from({ length: zip.length }, (_, at) => [
    zip.subarray(0, at),
    Buffer.from(zip).fill((zip[at] ?? 0) ^ 0xff, at, at + 1),
  ]).flat()
  for (const mutant of mutants) {
    const found = await readAll(mutant).catch((thrown) => {
      expect(thrown).toBeInstanceOf(ForerunError)
      return {}
    })
    for (const bytes of Object.values(found)) expect(bytes.equals(text) || bytes.length === 0).toBe(true)
  }
})
