/** A whole model that a recipe made: a Hugging Face folder, with a forerun.json that says where it comes from. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { writeWhole } from "./files/write-safetensors.ts"
import { type Trained, writeTrained } from "./trained-part.ts"

export const modelFile = "model.safetensors"

/** @param texts by file name; config.json and tokenizer.json make the folder a model. @returns path and sha256 of the weights */
export async function writeModel(
  folder: string,
  trained: Omit<Trained, "file">,
  texts: Readonly<Record<string, string>>,
): Promise<{ file: string; sha256: string }> {
  await mkdir(folder, { recursive: true })
  for (const [name, text] of Object.entries(texts)) await writeWhole(join(folder, name), [Buffer.from(text)])
  return writeTrained(folder, { ...trained, file: modelFile })
}
