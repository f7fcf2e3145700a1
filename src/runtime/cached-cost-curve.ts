/** The cost curve of this machine, model, format and number of threads: measured once, then read from the cache. */
import { createHash } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { join } from "node:path"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { useDerived, writeAtomically } from "../store/derived-cache.ts"
import { type CostCurve, measureCostCurve } from "./cost-curve.ts"
import { contentHash } from "./load-runner.ts"
import type { ModelRunner } from "./pass.ts"

const file = "cost-curve.json"

export async function cachedCostCurve(
  runner: ModelRunner,
  checkpoint: Checkpoint,
  setting: { readonly weights: string; readonly threads: number; readonly device: string },
): Promise<CostCurve> {
  const machine = [cpus()[0]?.model, cpus().length, process.version]
  const identity = JSON.stringify([await contentHash(checkpoint), setting, machine])
  const key = `cost-curve-${createHash("sha256").update(identity).digest("hex").slice(0, 40)}`
  const known = await useDerived(key)
  if (known) {
    const curve = await readFile(join(known, file), "utf8").then(parsed, () => undefined)
    if (curve) return curve
  }
  const curve = await measureCostCurve(runner)
  await writeAtomically(key, (folder) => writeFile(join(folder, file), JSON.stringify(curve)))
  return curve
}

function parsed(text: string): CostCurve | undefined {
  try {
    const curve = JSON.parse(text) as CostCurve
    const sound = (values: unknown) =>
      Array.isArray(values) && values.every((value) => Number.isFinite(value) && value > 0)
    return sound(curve.rows) && sound(curve.milliseconds) && curve.rows.length === curve.milliseconds.length
      ? curve
      : undefined
  } catch {
    return undefined
  }
}
