/** A random model with a tokenizer in a folder of its own, for tests that load by path. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { tinyTokenizerJson } from "../../src/text/test-sources.ts"
import { type TinyModel, writeTinyFolder } from "./tiny-model.ts"

export const tinyVocabulary = 267
export const tinyEnd = 264

export interface TinyFolder {
  readonly path: string
  remove(): void
}

export function makeTinyFolder(overrides: Partial<TinyModel> = {}): TinyFolder {
  const folder = mkdtempSync(join(tmpdir(), "forerun-tiny-"))
  const sizes = { hidden: 48, heads: 3, kvHeads: 1, headSize: 16, layers: 2, intermediate: 80, context: 384 }
  const more = { bos_token_id: tinyEnd + 1, eos_token_id: tinyEnd }
  const path = writeTinyFolder(
    { family: "llama", seed: 404, ...sizes, vocabulary: tinyVocabulary, more, ...overrides },
    join(folder, "tiny"),
    tinyTokenizerJson(),
  )
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
