/** Small text files of a model folder, read whole up to a limit. */

import { existsSync } from "node:fs"
import type { ForerunError } from "../../base/errors.ts"
import { openFileSource } from "./file-source.ts"
import { formatError } from "./format-error.ts"
import { type JsonObject, parseJsonObject } from "./json.ts"

/** @throws ForerunError E_MODEL_FORMAT when longer than `longest` bytes, E_MODEL_NOT_FOUND, E_IO */
export function readTextFile(path: string, longest: number): string {
  const source = openFileSource(path)
  try {
    if (source.size > longest) throw formatError(`${path}: needed at most ${longest} bytes, found ${source.size}`)
    return Buffer.from(source.read(0, source.size).buffer).toString("utf8")
  } finally {
    source.close()
  }
}

/** undefined when there is no such file. */
export function readOptionalText(path: string, longest: number): string | undefined {
  return existsSync(path) ? readTextFile(path, longest) : undefined
}

const LONGEST_JSON = 64 * 2 ** 20

/** @param fail makes the error for what is not a strict JSON object */
export function readJsonFile(path: string, fail: (message: string) => ForerunError): JsonObject {
  return parseJsonObject(readTextFile(path, LONGEST_JSON), path, fail)
}
