/** Files in a folder, each its owner's: what was uploaded, and what batches gave. */
import { randomUUID } from "node:crypto"
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { replaceFile } from "../../base/write-text.ts"
import { ioError } from "../../store/io-error.ts"
import { ApiError } from "../api-error.ts"

export interface FileRecord {
  readonly id: string
  /** The caller it belongs to: others do not see it. */
  readonly owner: string
  readonly filename: string
  readonly purpose: "batch" | "batch_output"
  readonly bytes: number
  /** Seconds since 1970. */
  readonly created: number
}

export const newId = (kind: string): string => `${kind}${randomUUID().replaceAll("-", "")}`

/** What every JSON file of a folder holds; those that hold none are passed over. */
export async function readRecords<T>(folder: string): Promise<T[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".json"))
  const read = await Promise.allSettled(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8"))),
  )
  return read.flatMap((one) => (one.status === "fulfilled" ? [one.value as T] : []))
}

export class FileStore {
  readonly #folder: string
  readonly #records: Map<string, FileRecord>

  private constructor(folder: string, records: readonly FileRecord[]) {
    this.#folder = folder
    const inOrder = records.toSorted((a, b) => a.created - b.created)
    this.#records = new Map(inOrder.map((record) => [record.id, record]))
  }

  /** @throws ForerunError E_IO */
  static async open(folder: string): Promise<FileStore> {
    try {
      await mkdir(folder, { recursive: true })
      return new FileStore(folder, await readRecords<FileRecord>(folder))
    } catch (thrown) {
      throw ioError(thrown, `cannot use ${folder}`)
    }
  }

  /** Newest first. */
  list(owner: string): FileRecord[] {
    return [...this.#records.values()].filter((record) => record.owner === owner).reverse()
  }

  /** @throws ApiError 404 */
  get(owner: string, id: string): FileRecord {
    const record = this.#records.get(id)
    if (record?.owner === owner) return record
    throw new ApiError(404, `there is no file ${JSON.stringify(id.slice(0, 80))}`, { code: "file_not_found" })
  }

  path({ id }: Pick<FileRecord, "id">): string {
    return join(this.#folder, `${id}.data`)
  }

  add(of: Pick<FileRecord, "owner" | "filename" | "purpose">, content: Uint8Array): Promise<FileRecord> {
    return this.#keep(of, (path) => writeFile(path, content))
  }

  /** Takes a file that lies on the same disk. */
  take(of: Pick<FileRecord, "owner" | "filename" | "purpose">, from: string): Promise<FileRecord> {
    return this.#keep(of, (path) => rename(from, path))
  }

  async remove({ id }: Pick<FileRecord, "id">): Promise<void> {
    this.#records.delete(id)
    await rm(join(this.#folder, `${id}.json`), { force: true })
    await rm(this.path({ id }), { force: true })
  }

  /** The record comes last: a file without one is not there. */
  async #keep(
    { owner, filename, purpose }: Pick<FileRecord, "owner" | "filename" | "purpose">,
    write: (path: string) => Promise<void>,
  ): Promise<FileRecord> {
    const id = newId("file-")
    try {
      await write(this.path({ id }))
      const { size: bytes } = await stat(this.path({ id }))
      const record = { id, owner, filename, purpose, bytes, created: Math.floor(Date.now() / 1000) }
      await replaceFile(join(this.#folder, `${id}.json`), JSON.stringify(record))
      this.#records.set(id, record)
      return record
    } catch (thrown) {
      await this.remove({ id })
      throw ioError(thrown, "cannot keep the file")
    }
  }
}
