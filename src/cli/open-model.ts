/** From flags to a loaded model, telling what takes time on the way. */
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { LoadModelOptions, ModelInfo } from "../generate/types.ts"
import type { EngineFlags } from "./flags.ts"
import type { Output } from "./output.ts"
import { createProgress } from "./progress.ts"
import { formatSeconds } from "./terminal.ts"

/** @throws ForerunError what loadModel throws; E_ABORTED when the signal came before the model was ready */
export async function openModel(
  flags: EngineFlags,
  output: Output,
  signal: AbortSignal,
  more: Pick<LoadModelOptions, "ownProcess" | "prefixBytes"> = {},
): Promise<Model> {
  const { model: name, weights, draft, draftWeights, part, adapter, threads, device, offline } = flags
  const progress = createProgress()
  const begin = performance.now()
  let model: Model
  try {
    model = await loadModel(name, {
      ...(weights === undefined ? {} : { weights }),
      ...(draft === undefined ? {} : { draft }),
      ...(draftWeights === undefined ? {} : { draftWeights }),
      ...(part === undefined ? {} : { part }),
      ...(adapter === undefined ? {} : { adapter }),
      ...(threads === undefined ? {} : { threads }),
      ...(device === undefined ? {} : { device }),
      ...(offline === undefined ? {} : { offline }),
      ...more,
      signal,
      onProgress: progress.update,
    })
  } finally {
    progress.stop()
  }
  if (signal.aborted) {
    await model.dispose()
    throw new ForerunError("E_ABORTED", "aborted while the model was loading")
  }
  output.note(`${describeModel(model)} · loaded in ${formatSeconds(performance.now() - begin)}`)
  return model
}

function describeModel({ info }: Model): string {
  const nameOf = ({ name, path }: Pick<ModelInfo, "name" | "path">) => name ?? path.split(/[\\/]/).at(-1)
  const threads = info.threads === 1 ? "1 thread" : `${info.threads} threads`
  const draft = info.draft ? ` · drafts by ${nameOf(info.draft)} in ${info.draft.weights}` : ""
  const changed = info.adapter ? ` · changed by ${info.adapter.method} ${info.adapter.sha256.slice(0, 8)}` : ""
  return `${nameOf(info)}${changed} · ${info.architecture} · weights ${info.weights} · ${threads}${draft}`
}
