/** The output of a job: whole or not at all. */
import { createWriteStream } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { pipeline } from "node:stream/promises"
import { ForerunError } from "../base/errors.ts"

/** A reader never sees half of it. @throws ForerunError E_IO */
export async function writeResults(path: string, lines: AsyncIterable<string>): Promise<void> {
  const partial = `${path}.partial`
  try {
    await pipeline(withLineEnds(lines), createWriteStream(partial))
    await rename(partial, path)
  } catch (thrown) {
    await rm(partial, { force: true })
    if (thrown instanceof ForerunError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `cannot write ${path}: ${reason}`, { cause: thrown })
  }
}

async function* withLineEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`
}
