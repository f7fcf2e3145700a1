/** A model's tokenizer alone: its files are opened, its weights stay where they are. */
import { ForerunError } from "../base/errors.ts"
import { type Checkpoint, openCheckpoint } from "../models/files/checkpoint.ts"
import { findModel } from "../store/find.ts"
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts"
import type { ModelFlags } from "./flags.ts"
import { createProgress } from "./progress.ts"

/** Finds the model (downloading it when it is nowhere here) and reads what its files say about themselves. */
export async function useCheckpoint<T>(flags: ModelFlags, use: (checkpoint: Checkpoint) => T): Promise<T> {
  const { model, offline } = flags
  const progress = createProgress()
  const found = await findModel(model, {
    offline,
    onProgress: ({ file, received, total }) =>
      progress.update({ stage: "downloading", file, received, ...(total === undefined ? {} : { total }) }),
  }).finally(progress.stop)
  const checkpoint = openCheckpoint(found.path)
  try {
    return use(checkpoint)
  } finally {
    checkpoint.close()
  }
}

/** @throws ForerunError E_TOKENIZER and what finding and opening throw */
export function openTokenizer(flags: ModelFlags): Promise<Tokenizer> {
  return useCheckpoint(flags, (checkpoint) => {
    if (checkpoint.tokenizer) return createTokenizer(checkpoint.tokenizer)
    throw new ForerunError("E_TOKENIZER", `${checkpoint.path}: the model brings no tokenizer`)
  })
}
