/** The cost curve of this machine, model, format and number of threads: measured, kept, and read from the cache. */
import { createHash } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { join } from "node:path"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { removeDerived, useDerived, writeAtomically } from "../store/derived-cache.ts"
import { type CostCurve, isPlausible, measureCostCurve } from "./cost-curve.ts"
import { contentHash, knownContentHash } from "./load-runner.ts"
import type { ModelRunner } from "./pass.ts"

const file = "cost-curve.json"
/** Measurements before one that cannot be true is taken for what it is. */
const attempts = 3

export interface CachedCostCurveOptions {
  /** Measures even if a curve is known, and replaces it. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
  /** For tests. */
  readonly measure?: typeof measureCostCurve
}

export interface CostSetting {
  readonly weights: string
  readonly threads: number
  readonly device: string
}

/** The curve if it was measured before: never measures, and reads no weights. */
export async function knownCostCurve(checkpoint: Checkpoint, setting: CostSetting): Promise<CostCurve | undefined> {
  const hash = await knownContentHash(checkpoint)
  return hash === undefined ? undefined : readCurve(keyOf(hash, setting))
}

/** A curve that cannot be true is measured again, and given but not kept if it stays so. */
export async function cachedCostCurve(
  runner: ModelRunner,
  checkpoint: Checkpoint,
  setting: CostSetting,
  options: CachedCostCurveOptions = {},
): Promise<CostCurve> {
  const key = keyOf(await contentHash(checkpoint), setting)
  const known = options.fresh ? undefined : await readCurve(key)
  if (known) return known
  const measure = options.measure ?? measureCostCurve
  const again = () => measure(runner, options.signal ? { signal: options.signal } : {})
  let curve = await again()
  for (let attempt = 1; attempt < attempts && !isPlausible(curve); attempt++) curve = await again()
  if (!isPlausible(curve)) return curve
  await removeDerived(key)
  await writeAtomically(key, (folder) => writeFile(join(folder, file), JSON.stringify(curve)))
  return curve
}

function keyOf(hash: string, { weights, threads, device }: CostSetting): string {
  const machine = [cpus()[0]?.model, cpus().length, process.version]
  const identity = JSON.stringify([hash, { weights, threads, device }, machine])
  return `cost-curve-${createHash("sha256").update(identity).digest("hex").slice(0, 40)}`
}

async function readCurve(key: string): Promise<CostCurve | undefined> {
  const folder = await useDerived(key)
  return folder === undefined ? undefined : readFile(join(folder, file), "utf8").then(parsed, () => undefined)
}

function parsed(text: string): CostCurve | undefined {
  try {
    const curve = JSON.parse(text) as CostCurve
    const sound = (values: unknown) =>
      Array.isArray(values) && values.every((value) => Number.isFinite(value) && value > 0)
    const whole = sound(curve.rows) && sound(curve.milliseconds) && curve.rows.length === curve.milliseconds.length
    return whole && curve.rows.length > 0 && isPlausible(curve) ? curve : undefined
  } catch {
    return undefined
  }
}
