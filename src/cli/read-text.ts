/** Text from files and from standard input, with typed errors and without filling the memory. */

import { createReadStream } from "node:fs"
import type { Readable } from "node:stream"
import { ForerunError } from "../base/errors.ts"
import { readTasks } from "./prompts-file.ts"

/** Longer than any context, and short enough to hold. */
const maxBytes = 256 * 2 ** 20

/** @param path a file, or "-" for standard input. @throws ForerunError E_IO, E_INPUT */
export function readText(path: string): Promise<string> {
  return path === "-" ? readAll(process.stdin, "standard input") : readAll(createReadStream(path), path)
}

/** A prompt that was piped in: without the line end that echo and editors put there. */
export async function readPrompt(): Promise<string> {
  return (await readText("-")).replace(/\r?\n$/, "")
}

async function readAll(stream: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).length
      if (bytes > maxBytes) throw new ForerunError("E_INPUT", `${name} is longer than ${maxBytes} bytes`)
      chunks.push(chunk as Buffer)
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks))
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    if (thrown instanceof TypeError && !("syscall" in thrown))
      throw new ForerunError("E_INPUT", `${name} is not UTF-8 text`, { cause: thrown })
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `cannot read ${name}: ${reason}`, { cause: thrown })
  }
}

/** The prompts of these files, as measurements take them. @throws E_IO, E_INPUT */
export async function readTaskFiles(paths: readonly string[], limit?: number) {
  return readTasks(await Promise.all(paths.map(async (path) => ({ path, text: await readText(path) }))), limit)
}
