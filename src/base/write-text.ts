/** Files that are there whole or not at all. */
import { mkdir, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { ForerunError } from "./errors.ts"

/** A process that ends in the middle leaves the old one. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.partial`, content)
  await rename(`${path}.partial`, path)
}

/** A text that people look at, with the folders above it. @throws E_IO */
export async function writeText(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, text)
  } catch (cause) {
    throw new ForerunError("E_IO", `cannot write ${path}: ${(cause as Error).message}`, { cause })
  }
}
