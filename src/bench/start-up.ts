/** Start-up and memory, from outside: the command line as a cold process, first with an empty cache, then again. */
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { ForerunError } from "../base/errors.ts"
import { openCheckpoint } from "../models/files/checkpoint.ts"
import { type WeightFormat, weightFormats } from "../models/formats.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { median } from "./statistics.ts"
import type { BenchProgress, ModelSummary } from "./types.ts"

export interface StartUpOptions {
  /** A .gguf file or a model folder. */
  readonly model: string
  /** Default all. */
  readonly formats?: readonly WeightFormat[]
  readonly threads?: number
  /** Cold processes with converted weights, default 5; the median is reported. */
  readonly repetitions?: number
  /** Tokens generated while memory is watched, default 64. */
  readonly tokens?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
}

export interface StartUpRow {
  readonly weights: WeightFormat
  /** Process start to first text on standard output, in milliseconds, weights converted on the way. */
  readonly firstMs: number
  /** The same once the converted weights lie in the cache. */
  readonly convertedMs: number
  /** Peak resident memory of those two processes and of one that generates more tokens, in MiB. */
  readonly firstPeakMiB: number
  readonly convertedPeakMiB: number
  readonly generatingPeakMiB: number
}

export interface StartUpResult extends Source {
  readonly kind: "start-up"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly threads: number
  readonly tokens: number
  readonly rows: readonly StartUpRow[]
}

const prompt = "Write a haiku about rivers"

/** The operating system's own file cache stays warm. @throws E_USAGE when the build is missing, E_RUNTIME, E_ABORTED */
export async function measureStartUp(options: StartUpOptions): Promise<StartUpResult> {
  const { formats = weightFormats, threads = 2, repetitions = 5, tokens = 64, signal, onProgress } = options
  const model = resolve(options.model)
  const checkpoint = openCheckpoint(model)
  const described = {
    name: checkpoint.name ?? basename(model),
    file: basename(model),
    architecture: checkpoint.architecture,
  }
  checkpoint.close()
  await stat(cliFile).catch(() => {
    throw new ForerunError("E_USAGE", `start-up is measured on the built command line, and ${cliFile} is missing`, {
      hint: "npm run build",
    })
  })
  const rows: StartUpRow[] = []
  const total = formats.length * (repetitions + 2)
  let done = 0
  for (const weights of formats) {
    const cache = await mkdtemp(join(tmpdir(), "forerun-start-up-"))
    const start = async (count: number) => {
      signal?.throwIfAborted()
      const run = await coldStart({ model, weights, threads, tokens: count, cache, ...(signal ? { signal } : {}) })
      onProgress?.({ stage: weights, done: ++done, total })
      return run
    }
    try {
      const first = await start(1)
      const converted = []
      for (let i = 0; i < repetitions; i++) converted.push(await start(1))
      rows.push({
        weights,
        firstMs: first.firstTextMs,
        convertedMs: median(converted.map((run) => run.firstTextMs)),
        firstPeakMiB: first.peakMiB,
        convertedPeakMiB: median(converted.map((run) => run.peakMiB)),
        generatingPeakMiB: (await start(tokens)).peakMiB,
      })
    } finally {
      await rm(cache, { recursive: true, force: true })
    }
  }
  return { kind: "start-up", ...describeSource(), machine: describeMachine(), model: described, threads, tokens, rows }
}

const cliFile = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../../dist/cli/cli.js" : "../cli/cli.js", import.meta.url),
)

interface ColdStart {
  readonly model: string
  readonly weights: WeightFormat
  readonly threads: number
  readonly tokens: number
  readonly cache: string
  readonly signal?: AbortSignal
}

function coldStart(run: ColdStart): Promise<{ firstTextMs: number; peakMiB: number }> {
  const { model, weights, threads, tokens, cache, signal } = run
  const words = ["generate", "-m", model, "--weights", weights, "--threads", `${threads}`, "-n", `${tokens}`, prompt]
  const begin = performance.now()
  const child = spawn(process.execPath, [cliFile, ...words], {
    env: { ...process.env, FORERUN_CACHE: cache },
    stdio: ["ignore", "pipe", "pipe"],
    ...(signal ? { signal } : {}),
  })
  let firstTextMs: number | undefined
  let peak = 0
  let errors = ""
  const watch = () => {
    peak = Math.max(peak, peakOf(child.pid))
  }
  const timer = setInterval(watch, 10)
  child.stdout.on("data", () => {
    firstTextMs ??= performance.now() - begin
    watch()
  })
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-1000)
  })
  return new Promise((done, fail) => {
    child.on("error", fail)
    child.on("close", (code) => {
      clearInterval(timer)
      if (code === 0 && firstTextMs !== undefined) done({ firstTextMs, peakMiB: peak / 1024 })
      else fail(new ForerunError("E_RUNTIME", `forerun generate ended with ${code}: ${errors.trim()}`))
    })
  })
}

/** High-water mark of resident memory in KiB, as the kernel keeps it; 0 where there is no /proc. */
function peakOf(pid: number | undefined): number {
  const file = `/proc/${pid}/status`
  try {
    return existsSync(file) ? Number(/VmHWM:\s*(\d+)/.exec(readFileSync(file, "utf8"))?.[1] ?? 0) : 0
  } catch {
    return 0 // ended between the two calls
  }
}
