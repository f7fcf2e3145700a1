/** A process of its own that trains a tiny model: `train-tiny.ts <folder> <text> <seed> [resume]`. Prints each step. */
import { train } from "../../src/train/trainer.ts"
import { characterModel, characters, tinyHyperparameters } from "./tiny-transformer.ts"

const [folder, path, seed, resume] = process.argv.slice(2)
const text = characters(path!)
const controller = new AbortController()
process.once("SIGINT", () => controller.abort())
const result = await train({
  recipe: { method: "tiny", metric: { name: "loss", better: "lower", expected: "" } },
  training: characterModel(text.ids, { vocabulary: text.count, width: 16, heads: 2, layers: 1, length: 16 }),
  hyper: { ...tinyHyperparameters, steps: 40, batch: 4, accumulate: 2, validateEvery: 10 },
  options: {},
  target: { sha256: "0".repeat(64) },
  folder: folder!,
  seed: Number(seed),
  threads: 1,
  resume: resume === "resume",
  checkpointEvery: 0.02,
  signal: controller.signal,
  onProgress: ({ step }) => process.stdout.write(`step ${step}\n`),
})
process.stdout.write(`${JSON.stringify(result)}\n`)
