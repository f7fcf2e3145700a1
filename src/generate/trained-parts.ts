/** The trained weights of methods, opened when first asked for and kept with the model. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ForerunError } from "../base/errors.ts"
import type { AnyMethod, OptionValues } from "../decoding/method.ts"
import type { OpenedPart, PartNeeds } from "../decoding/method-part.ts"
import { targetOf } from "../decoding/part-target.ts"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { openPartFolder, readPartRecord, recordFile } from "../models/trained-part.ts"
import type { Device } from "../runtime/devices.ts"
import { openGraph } from "../runtime/graph-runner.ts"
import { Ledger } from "../runtime/ledger.ts"
import { contentHash } from "../runtime/load-runner.ts"

/** Where the package keeps the weights that come with it: a folder for each recipe. */
const shipped = fileURLToPath(new URL("../../weights", import.meta.url))

export interface TrainedPart {
  readonly part: OpenedPart
  /** Passes of its graphs, by whatever run. */
  readonly ledger: Ledger
}

export interface PartHost {
  readonly checkpoint: Checkpoint
  readonly threads: number
  /** Where their graphs run; default the CPU. */
  readonly device?: Device
  /** What the caller gave: the folder of one part, or one that holds a folder for each recipe. */
  readonly folder?: string | undefined
  /** The changes of the target, beside which parts for the changed target may lie: a folder for each recipe. */
  readonly adapter?: string | undefined
}

export class TrainedParts {
  #host: PartHost
  #opened = new Map<string, Promise<TrainedPart>>()

  constructor(host: PartHost) {
    this.#host = host
  }

  /** @throws E_DRAFT when there are no weights for this method and target; E_MODEL_FORMAT */
  async of(
    { name, part: needs }: Pick<AnyMethod, "name" | "part">,
    options: OptionValues = {},
  ): Promise<TrainedPart | undefined> {
    if (needs === undefined || needs.wanted?.(options) === false) return undefined
    const known = this.#opened.get(name)
    if (known) return known
    const opened = this.#open(name, needs)
    this.#opened.set(name, opened)
    opened.catch(() => this.#opened.delete(name))
    return opened
  }

  async dispose(): Promise<void> {
    for (const opened of this.#opened.values()) await (await opened.catch(() => undefined))?.part.dispose()
    this.#opened.clear()
  }

  async #open(method: string, { recipe, open }: PartNeeds): Promise<TrainedPart> {
    const { checkpoint, threads, device = "cpu", folder, adapter } = this.#host
    const found = findPart(recipe, folder, adapter)
    if (found === undefined) throw missing(method, recipe, folder)
    const { method: trained, target } = readPartRecord(found)
    if (trained !== recipe)
      throw new ForerunError("E_DRAFT", `${method} needs weights of the recipe ${recipe}; ${found} is of ${trained}`)
    const sha256 = await contentHash(checkpoint)
    if (target.sha256 !== sha256) {
      const other = target.name ?? target.sha256
      throw new ForerunError(
        "E_DRAFT",
        `${method}: the weights in ${found} were trained for another target (${other}), not for ${checkpoint.path}`,
        { hint: howToTrain(recipe, checkpoint.path) },
      )
    }
    const ledger = new Ledger()
    const part = await open({
      ...(await openPartFolder(found)),
      target: targetOf(checkpoint),
      threads,
      openGraph: (graph) => openGraph(graph, { threads: device === "cpu" ? beside : threads, device, ledger }),
    })
    return { part, ledger }
  }
}

/**
 * Threads of a small graph on the target's own processor. More than the one that asks would wait for work in a loop while
 * the target computes, as onnxruntime's threads do: its passes took a quarter longer with two of them on two cores.
 */
const beside = 1

const isPart = (folder: string): boolean => existsSync(join(folder, recordFile))

/** An adapter's folder is one of another recipe, which holds parts: so what lies in a folder comes before the folder. */
function findPart(recipe: string, folder: string | undefined, adapter: string | undefined): string | undefined {
  const given = folder === undefined ? [] : [join(folder, recipe), folder]
  const beside = adapter === undefined ? [] : [join(adapter, recipe)]
  return [...given, ...beside, join(shipped, recipe)].find(isPart)
}

const howToTrain = (recipe: string, target: string): string =>
  `train them: forerun train ${recipe} -m ${target} --out <folder>; then give --part <folder>, or loadModel's option \`part\``

function missing(method: string, recipe: string, folder: string | undefined): ForerunError {
  const where = folder === undefined ? "none come with this version" : `none are in ${folder}`
  return new ForerunError("E_DRAFT", `${method} needs trained weights, and ${where}`, {
    hint: howToTrain(recipe, "<target>"),
  })
}
