/** Texts that people look at, as files. */
import { mkdir, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { ForerunError } from "./errors.ts"

/** Whole or not at all, with the folders above it. @throws E_IO */
export async function writeText(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(`${path}.partial`, text)
    await rename(`${path}.partial`, path)
  } catch (cause) {
    throw new ForerunError("E_IO", `cannot write ${path}: ${(cause as Error).message}`, { cause })
  }
}
