/** Untrained weights of every method that takes trained ones, for runs in which only correctness counts. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { targetOf } from "../../src/decoding/part-target.ts"
import { randomMaps } from "../../src/methods/hidden-transfer/test-transfer.ts"
import { randomHeads } from "../../src/methods/medusa/test-heads.ts"
import { randomHead } from "../../src/methods/specdec-plus-plus/test-weights.ts"
import { openCheckpoint } from "../../src/models/files/checkpoint.ts"
import { writePart } from "../../src/models/trained-part.ts"
import { contentHash } from "../../src/runtime/load-runner.ts"
import { randomDrafter } from "./drafter-part.ts"
import type { MakeTestPart } from "./test-part.ts"

/** By recipe. */
const makers: Readonly<Record<string, MakeTestPart>> = {
  medusa: (target) => ({ tensors: randomHeads(target, { words: 100 }) }),
  "hidden-transfer": (target) => randomMaps(target, [1, 1, 1]),
  eagle: randomDrafter({ span: 1, fusion: "plain" }),
  falcon: randomDrafter({ span: 2, fusion: "gate" }),
  dovetail: randomDrafter({ span: 1, fusion: "dynamic", layers: 2 }),
  // A head for a draft model of the target's size, which the caller brings.
  "specdec-plus-plus": ({ config }) => ({
    tensors: randomHead(config.hidden, 3, { tied: true }),
    recipe: { depth: 3 },
  }),
}

/** @returns a folder that holds one for each recipe, as `part` takes it */
export async function writeRandomParts(model: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "forerun-parts-"))
  const checkpoint = openCheckpoint(model)
  try {
    const sha256 = await contentHash(checkpoint)
    for (const [method, make] of Object.entries(makers)) {
      const { tensors, recipe = {} } = await make(targetOf(checkpoint))
      const named = [...tensors].map(([name, tensor]) => ({ name, ...tensor }))
      await writePart(join(folder, method), named, { method, target: { sha256 }, recipe, metrics: {} })
    }
    return folder
  } finally {
    checkpoint.close()
  }
}
