/** A model in one role: its file, its tokenizer and the runner made from it. */
import { ForerunError } from "../base/errors.ts"
import { withAdapter } from "../models/adapter.ts"
import { type Checkpoint, openCheckpoint } from "../models/files/checkpoint.ts"
import { readPartRecord } from "../models/trained-part.ts"
import { type ModelDevice, modelDevice, type Placement } from "../runtime/devices.ts"
import { contentHash, loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { compareVocabularies } from "../text/compare-vocabularies.ts"
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts"
import { defaultThreads, defaultWeights } from "./defaults.ts"
import type { LoadModelOptions, ModelInfo } from "./types.ts"

export interface Part {
  readonly checkpoint: Checkpoint
  readonly tokenizer: Tokenizer
  readonly runner: SessionRunner
  readonly info: Pick<ModelInfo, "path" | "architecture" | "config" | "weights" | "name" | "adapter">
  readonly threads: number
  readonly device: ModelDevice
  dispose(): Promise<void>
}

type PartOptions = Pick<LoadModelOptions, "weights" | "threads" | "adapter" | "onProgress"> & {
  readonly device?: ModelDevice
}

export async function openPart(path: string, options: PartOptions): Promise<Part> {
  const checkpoint = await openAdapted(path, options.adapter)
  try {
    if (!checkpoint.tokenizer) throw new ForerunError("E_TOKENIZER", `${path}: the model brings no tokenizer`)
    const weights = options.weights ?? defaultWeights(checkpoint)
    const threads = options.threads ?? defaultThreads()
    const device = options.device ?? "cpu"
    const onProgress = (stage: "hashing" | "converting" | "loading") => options.onProgress?.({ stage })
    const runner = await loadRunner(checkpoint, { weights, threads, device, onProgress })
    const tokenizer = createTokenizer(checkpoint.tokenizer)
    const { architecture, config, name } = checkpoint
    const adapted = options.adapter === undefined ? {} : { adapter: describeAdapter(options.adapter) }
    return {
      checkpoint,
      tokenizer,
      runner,
      info: { path, architecture, config, weights, ...(name === undefined ? {} : { name }), ...adapted },
      threads,
      device,
      async dispose() {
        await runner.dispose()
        checkpoint.close()
      },
    }
  } catch (thrown) {
    checkpoint.close()
    throw thrown
  }
}

function describeAdapter(path: string): NonNullable<ModelInfo["adapter"]> {
  const { method, weights } = readPartRecord(path)
  return { path, method, sha256: weights.sha256 }
}

/** @throws E_DRAFT when the changes were trained on another model */
async function openAdapted(path: string, adapter: string | undefined): Promise<Checkpoint> {
  const checkpoint = openCheckpoint(path)
  if (adapter === undefined) return checkpoint
  try {
    const { target } = readPartRecord(adapter)
    if (target.sha256 !== (await contentHash(checkpoint)))
      throw new ForerunError(
        "E_DRAFT",
        `${adapter} changes another model (${target.name ?? target.sha256}), not ${path}`,
      )
    return await withAdapter(checkpoint, adapter)
  } catch (thrown) {
    checkpoint.close()
    throw thrown
  }
}

type DraftOptions = Omit<LoadModelOptions, "device"> & { readonly placement: Placement }

/** @throws E_DRAFT when the two do not speak of the same tokens */
export async function openDraft(target: Part, path: string, options: DraftOptions): Promise<Part> {
  const { weights, draftWeights = weights, threads, onProgress, placement } = options // the target's changes are not the draft's
  const draft = await openPart(path, {
    device: modelDevice("device of a draft model", placement.draft),
    ...(draftWeights === undefined ? {} : { weights: draftWeights }),
    ...(threads === undefined ? {} : { threads }),
    ...(onProgress ? { onProgress } : {}),
  })
  try {
    checkVocabularies(target, draft)
    return draft
  } catch (thrown) {
    await draft.dispose()
    throw thrown
  }
}

type Speaker = { readonly tokenizer: Tokenizer; readonly info: Pick<Part["info"], "path"> }

/** @throws E_DRAFT naming the first token that differs */
export function checkVocabularies(target: Speaker, draft: Speaker): void {
  const { firstDifference: id } = compareVocabularies(target.tokenizer, draft.tokenizer)
  if (id === undefined) return
  const spelling = ({ tokenizer }: Speaker) =>
    `${JSON.stringify(tokenizer.decode([id]))}${tokenizer.isSpecial(id) ? " (a control token)" : ""}`
  throw new ForerunError(
    "E_DRAFT",
    `${draft.info.path} cannot draft for ${target.info.path}: token ${id} is ${spelling(draft)} there and ${spelling(target)} here`,
    { hint: "a draft model needs the target's tokenizer" },
  )
}
