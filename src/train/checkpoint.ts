/** Checkpoints of a run: one file with parameters, optimiser state, and where the run stands; replaced as a whole. */
import { existsSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { openFileSource } from "../models/files/file-source.ts"
import { formatError } from "../models/files/format-error.ts"
import { readSafetensorsHeader } from "../models/files/safetensors.ts"
import { type TensorToWrite, writeSafetensorsFile } from "../models/files/write-safetensors.ts"
import type { Parameter } from "./recipe.ts"
import { stateKinds, stateName } from "./step-graph.ts"
import type { State } from "./step-runner.ts"

/** Where a run stands. Random streams are functions of seed and step, and the data position of the step. */
export interface Standing {
  /** Steps done. */
  readonly step: number
  readonly seed: number
  /** What must be the same when a run goes on: recipe, options, hyper-parameters, target. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Loss of each step. */
  readonly losses: readonly number[]
  readonly validations: readonly { readonly step: number; readonly value: number }[]
  /** With the means of everything the loss reports. */
  readonly best?: {
    readonly step: number
    readonly value: number
    readonly metrics: Readonly<Record<string, number>>
  }
  /** Validations since the best. */
  readonly misses: number
  readonly seconds: number
}

export interface Saved {
  readonly standing: Standing
  readonly state: State
  /** Parameters at the best validation. */
  readonly best?: State
}

export const checkpointFile = "checkpoint.safetensors"
const standingName = "standing"

export async function saveCheckpoint(folder: string, parameters: readonly Parameter[], saved: Saved): Promise<void> {
  await mkdir(folder, { recursive: true })
  const tensors: TensorToWrite[] = []
  const push = (name: string, shape: readonly number[], { buffer, byteOffset, byteLength }: Float32Array) =>
    tensors.push({ name, type: "F32", shape, data: new Uint8Array(buffer, byteOffset, byteLength) })
  for (const { name, shape } of parameters) {
    for (const kind of stateKinds) push(stateName(kind, name), shape, saved.state.get(stateName(kind, name))!)
    const best = saved.best?.get(stateName("parameter", name))
    if (best) push(`best/${name}`, shape, best)
  }
  const text = Buffer.from(JSON.stringify(saved.standing))
  tensors.push({ name: standingName, type: "U8", shape: [text.length], data: text })
  await writeSafetensorsFile(join(folder, checkpointFile), tensors)
}

export const hasCheckpoint = (folder: string): boolean => existsSync(join(folder, checkpointFile))

/** @throws E_MODEL_FORMAT when the file does not hold these parameters */
export function loadCheckpoint(folder: string, parameters: readonly Parameter[]): Saved {
  const path = join(folder, checkpointFile)
  const source = openFileSource(path)
  try {
    const entries = readSafetensorsHeader(source)
    const bytes = (name: string) => {
      const entry = entries.get(name)
      if (!entry) throw formatError(`${path}: tensor ${name} is missing`)
      return source.read(entry.offset, entry.bytes)
    }
    const floats = (name: string, shape: readonly number[]) => {
      const found = entries.get(name)
      if (found?.type !== "F32" || found.shape.join() !== shape.join())
        throw formatError(`${path}: needed ${name} as F32 [${shape}], found ${found?.type} [${found?.shape}]`)
      return new Float32Array(bytes(name).buffer)
    }
    const state = new Map<string, Float32Array>()
    const best = new Map<string, Float32Array>()
    for (const { name, shape } of parameters) {
      for (const kind of stateKinds) state.set(stateName(kind, name), floats(stateName(kind, name), shape))
      if (entries.has(`best/${name}`)) best.set(stateName("parameter", name), floats(`best/${name}`, shape))
    }
    const standing = parseStanding(Buffer.from(bytes(standingName)).toString(), path)
    return { standing, state, ...(best.size > 0 ? { best } : {}) }
  } finally {
    source.close()
  }
}

function parseStanding(text: string, path: string): Standing {
  try {
    return JSON.parse(text) as Standing
  } catch {
    throw formatError(`${path}: ${standingName} is no JSON`)
  }
}

/** @throws E_OPTION naming the first setting that differs */
export function requireSameSettings(standing: Standing, settings: Standing["settings"], seed: number): void {
  const pairs: [string, unknown, unknown][] = Object.keys({ ...standing.settings, ...settings }).map((name) => [
    name,
    standing.settings[name],
    settings[name],
  ])
  for (const [name, before, now] of [...pairs, ["seed", standing.seed, seed] as const])
    if (JSON.stringify(before) !== JSON.stringify(now))
      throw new ForerunError(
        "E_OPTION",
        `the checkpoint was made with ${name} = ${JSON.stringify(before)}, found ${JSON.stringify(now)}`,
        { hint: "resume with the settings of the first start, or train into another folder" },
      )
}
