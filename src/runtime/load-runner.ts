/** From a checkpoint to a runner: builds the graph, converts the weights once, and caches the result by content. */
import { createHash } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { open, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type SerializedModel, serialize } from "../graph/index.ts"
import { checked, externalBuffer } from "../graph/serialize.ts"
import { buildModel } from "../models/build-model.ts"
import { createEmbed } from "../models/embedding.ts"
import { type Checkpoint, checkpointHash } from "../models/files/checkpoint.ts"
import { linearFormats, type WeightFormat } from "../models/formats.ts"
import { useDerived, writeAtomically } from "../store/derived-cache.ts"
import { type GraphFacts, type GraphPowers, SessionRunner } from "./model-runner.ts"
import type { Session, SessionOptions } from "./session.ts"
import { createSession } from "./session-node.ts"

/** Part of the cache key: raise it when graphs or packings change. */
const layoutVersion = 1
/** Smaller models are converted afresh each time: quicker than a look into the cache, and nothing is left behind. */
const cacheFrom = 16 * 2 ** 20
const location = "weights.bin"

export interface LoadOptions extends SessionOptions {
  readonly weights: WeightFormat
  /** Whether it is made for several sequences at once from the start; else when that first pays. */
  readonly merged?: boolean
  /** Told what takes time. */
  readonly onProgress?: (stage: "hashing" | "converting" | "loading") => void
}

export async function loadRunner(checkpoint: Checkpoint, options: LoadOptions): Promise<SessionRunner> {
  const embed = createEmbed(checkpoint.config, checkpoint.weights)
  const rebuild = (powers: GraphPowers) => loadSession(checkpoint, options, powers)
  const begin = performance.now()
  const made = await rebuild({ steerable: false, merged: options.merged ?? false })
  return new SessionRunner({ ...made, embed, rebuild, price: performance.now() - begin })
}

/** A session for a checkpoint, with some powers of the graph or as fast as can be. */
export async function loadSession(
  checkpoint: Checkpoint,
  options: LoadOptions,
  powers: GraphPowers,
): Promise<{ facts: GraphFacts; session: Session }> {
  const model = buildModel(checkpoint.config, checkpoint.weights, { ...powers, format: linearFormats[options.weights] })
  const serialized = serialize(model.graph, location)
  const { config, ropeTables, windows } = model
  const facts = { config, ropeTables, windows, ...powers }
  const folder =
    serialized.externalBytes < cacheFrom ? undefined : await converted(checkpoint, options, powers, serialized)
  options.onProgress?.("loading")
  const source = folder
    ? { model: join(folder, "model.onnx") }
    : { model: serialized.model, external: { path: location, data: externalBuffer(serialized) } }
  return { facts, session: await createSession(source, options) }
}

/** The folder with model and weights, written when it is not there yet; undefined when the disk does not allow one. */
async function converted(
  checkpoint: Checkpoint,
  options: LoadOptions,
  { steerable, merged }: GraphPowers,
  serialized: SerializedModel,
): Promise<string | undefined> {
  const hash = await contentHash(checkpoint, options)
  // The graph is part of the key: a changed model builder never meets old weights.
  const graph = createHash("sha256").update(serialized.model).digest("hex").slice(0, 12)
  const key = `${hash.slice(0, 24)}-${options.weights}-${steerable ? "steerable-" : ""}${merged ? "merged-" : ""}v${layoutVersion}-${graph}`
  return writeAtomically(key, async (folder) => {
    options.onProgress?.("converting")
    const file = await open(join(folder, location), "w")
    try {
      for (const { offset, initializer } of serialized.external)
        await file.write(checked(initializer), 0, undefined, offset)
    } finally {
      await file.close()
    }
    await writeFile(join(folder, "model.onnx"), serialized.model)
  })
}

/** sha256 of the weight files; remembered by path, size and time of change, so that it is not taken at every start. */
export async function contentHash(
  checkpoint: Checkpoint,
  options: Pick<LoadOptions, "onProgress"> = {},
): Promise<string> {
  const known = await knownContentHash(checkpoint)
  if (known !== undefined) return known
  options.onProgress?.("hashing")
  const hash = await checkpointHash(checkpoint)
  const write = (temporary: string) => writeFile(join(temporary, "sha256"), hash)
  const folder = await writeAtomically(hashKey(checkpoint), write)
  return folder === undefined ? hash : (await readFile(join(folder, "sha256"), "utf8")).trim()
}

/** The remembered hash, or undefined: no weights are read. */
export async function knownContentHash(checkpoint: Checkpoint): Promise<string | undefined> {
  const known = await useDerived(hashKey(checkpoint))
  if (!known) return undefined
  const text = readFileSync(join(known, "sha256"), "utf8").trim()
  return /^[0-9a-f]{64}$/.test(text) ? text : undefined
}

function hashKey(checkpoint: Checkpoint): string {
  const stamp = checkpoint.files.map((file) => {
    const { size, mtimeMs, ino } = statSync(file)
    return [file, size, mtimeMs, ino]
  })
  return `sha256-${createHash("sha256").update(JSON.stringify(stamp)).digest("hex").slice(0, 40)}`
}
