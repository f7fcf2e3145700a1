/**
 * Hidden states of a frozen target over its answers: computed once, kept on the disk in half precision, read as batches.
 * Several processes with the same folder share the work: each takes pieces that nobody has begun.
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ForerunError } from "../base/errors.ts"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { openFileSource } from "../models/files/file-source.ts"
import { halfValues } from "../models/files/half.ts"
import { readSafetensorsHeader } from "../models/files/safetensors.ts"
import { toHalf } from "../models/files/to-half.ts"
import { writeSafetensorsFile } from "../models/files/write-safetensors.ts"
import type { WeightFormat } from "../models/formats.ts"
import { contentHash, loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { type Answer, type AnswerWindows, windowOf } from "./answers.ts"
import type { Data, RecipeContext } from "./recipe.ts"

/** Layers run before the state is taken (0: the first layer's input), or "final": after the norm behind the last. */
export type FeatureLayer = number | "final"

export interface FeatureRequest {
  readonly target: Checkpoint
  readonly answers: readonly Answer[]
  readonly layers: readonly FeatureLayer[]
  /** Holds a folder for each target, set of answers and layers. */
  readonly folder: string
  /** Rows of an answer at most, its last ones; the target reads all of it. */
  readonly length: number
  /** The target's, as it will be decoded with; default q8. */
  readonly weights?: WeightFormat
  readonly threads: number
  /** After so many seconds what is there has to do: the first answers of the list. Default: all of them. */
  readonly seconds?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}

export interface Features {
  /** As asked for, or the first of them. */
  readonly answers: readonly Answer[]
  /** Rows of a window at most. */
  readonly length: number
  /** Width of a state. */
  readonly hidden: number
  /** Rows of an answer's state at a layer: those of its window's tokens, [rows · hidden]. */
  rows(answer: number, layer: FeatureLayer): Float32Array
}

/** Answers in a piece. */
const piece = 32
/** Seconds after which a piece that was begun on another machine and not finished is taken over. */
const patience = 120

/** @throws E_ABORTED, E_IO, and what loading a target throws */
export async function computeFeatures(request: FeatureRequest): Promise<Features> {
  const folder = join(request.folder, await keyOf(request))
  mkdirSync(folder, { recursive: true })
  const count = Math.ceil(request.answers.length / piece)
  const pathOf = (index: number) => join(folder, `${String(index).padStart(5, "0")}.safetensors`)
  const end = performance.now() + (request.seconds ?? Number.POSITIVE_INFINITY) * 1000
  let runner: SessionRunner | undefined
  let done = 0 // pieces from the first on
  try {
    for (;;) {
      const missing = Array.from({ length: count }, (_, i) => i).filter((i) => !existsSync(pathOf(i)))
      request.onProgress?.(count - missing.length, count)
      done = missing[0] ?? count
      if (missing.length === 0 || (done > 0 && performance.now() > end)) break
      const mine = missing.find((i) => claim(pathOf(i)))
      if (mine === undefined) await sleep(200)
      request.signal?.throwIfAborted()
      if (mine === undefined) continue
      try {
        runner ??= await loadRunner(request.target, {
          weights: request.weights ?? "q8",
          threads: request.threads,
          device: "cpu",
        })
        await writePiece(pathOf(mine), runner, request, mine * piece)
      } finally {
        rmSync(claimOf(pathOf(mine)), { force: true })
      }
    }
  } catch (thrown) {
    if (!request.signal?.aborted) throw thrown
    throw new ForerunError("E_ABORTED", "aborted while hidden states were computed", { cause: thrown })
  } finally {
    await runner?.dispose()
  }
  const paths = Array.from({ length: done }, (_, i) => pathOf(i))
  return readFeatures({ ...request, answers: request.answers.slice(0, done * piece) }, paths)
}

/**
 * The target's final states for a recipe's answers, in the folder that its option `features` names (recipes share one)
 * or in its own. Told a tenth at a time.
 * @throws as computeFeatures
 */
export function finalStates(
  { target, options, folder, threads, signal, note }: RecipeContext,
  request: Pick<FeatureRequest, "answers" | "length" | "seconds">,
): Promise<Features> {
  let told = -1
  return computeFeatures({
    ...request,
    target,
    layers: ["final"],
    folder: options.features === "" ? join(folder, "features") : String(options.features),
    threads,
    signal,
    onProgress(done, total) {
      const tenth = Math.floor((done / total) * 10)
      if (tenth > told) note(`hidden states: ${done} of ${total} pieces`)
      told = Math.max(told, tenth)
    },
  })
}

async function keyOf({ target, answers, layers, length, weights = "q8" }: FeatureRequest): Promise<string> {
  const model = target.files.length > 0 ? await contentHash(target) : target.path
  const hash = createHash("sha256").update(JSON.stringify([model, layers, length, weights]))
  for (const { id, prompt, answer } of answers) hash.update(`${id} ${prompt.join()} ${answer.join()}\n`)
  return hash.digest("hex").slice(0, 16)
}

const claimOf = (path: string): string => `${path}.begun`

/** Whether the piece is this process's to compute. */
function claim(path: string): boolean {
  const mark = claimOf(path)
  try {
    if (isGone(mark)) rmSync(mark, { force: true })
  } catch {} // nobody has begun it
  try {
    writeFileSync(mark, owner(process.pid), { flag: "wx" })
    return true
  } catch {
    return false
  }
}

const owner = (pid: number): string => `${hostname()} ${pid}`

/** Whether the process that began a piece is there no more; of another machine's, time has to tell. */
function isGone(mark: string): boolean {
  const [host, pid] = readFileSync(mark, "utf8").split(" ")
  if (host !== hostname()) return Date.now() - statSync(mark).mtimeMs > patience * 1000
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "ESRCH"
  }
}

async function writePiece(path: string, runner: SessionRunner, request: FeatureRequest, from: number): Promise<void> {
  const { answers, layers, length, signal } = request
  const { hidden } = runner.config
  const states = new Map(layers.map((layer): [FeatureLayer, Float32Array[]] => [layer, []]))
  for (const answer of answers.slice(from, from + piece)) {
    signal?.throwIfAborted()
    const tokens = Int32Array.from([...answer.prompt, ...answer.answer])
    const pass = await runner.forward({ input: { tokens }, want: { hidden: layers } })
    const { start } = windowOf(answer, length)
    for (const layer of layers) states.get(layer)!.push(pass.hidden.get(layer)!.data.slice(start * hidden))
  }
  await writeSafetensorsFile(
    path,
    [...states].map(([layer, parts]) => {
      const rows = parts.reduce((sum, part) => sum + part.length / hidden, 0)
      const halves = new Uint16Array(rows * hidden)
      let at = 0
      for (const part of parts) {
        halves.set(toHalf(part), at)
        at += part.length
      }
      return { name: String(layer), type: "F16", shape: [rows, hidden], data: new Uint8Array(halves.buffer) } as const
    }),
  )
}

/** All of them in memory, as halves. */
function readFeatures({ answers, layers, length, target }: FeatureRequest, paths: readonly string[]): Features {
  const { hidden } = target.config
  const pieces = paths.map((path) => {
    const source = openFileSource(path)
    try {
      const header = readSafetensorsHeader(source)
      return new Map(
        layers.map((layer) => {
          const { offset, bytes } = header.get(String(layer))!
          return [layer, new Uint16Array(source.read(offset, bytes).buffer)]
        }),
      )
    } finally {
      source.close()
    }
  })
  /** First row of each answer in its piece. */
  const starts: number[] = []
  for (const i of answers.keys())
    starts.push(i % piece === 0 ? 0 : starts[i - 1]! + windowOf(answers[i - 1]!, length).rows)
  const table = halfValues()
  return {
    answers,
    length,
    hidden,
    rows(index, layer) {
      const { rows } = windowOf(answers[index]!, length)
      const halves = pieces[Math.floor(index / piece)]!.get(layer)!
      const from = starts[index]! * hidden
      return Float32Array.from(halves.subarray(from, from + rows * hidden), (half) => table[half]!)
    },
  }
}

/** Windows as `answerWindows` makes them, with a float32 tensor [batch, length, hidden] for each layer, zeros behind. */
export function featureWindows(features: Features, windows: AnswerWindows, layers: readonly FeatureLayer[]): Data {
  const { length } = windows
  const { hidden } = features
  return {
    samples: windows.samples,
    batch(indices, random) {
      const { tensors, tokens } = windows.batch(indices, random)
      const states = layers.map((layer) => {
        const parts = indices.map((index) => features.rows(index, layer))
        const data = new Float32Array(indices.length * length * hidden)
        for (const [row, part] of parts.entries()) data.set(part, row * length * hidden)
        const name = layer === "final" ? "final" : `hidden${layer}`
        return [name, { type: "float32", shape: [indices.length, length, hidden], data }] as const
      })
      return { tensors: { ...tensors, ...Object.fromEntries(states) }, tokens }
    },
  }
}
