/** The command line as a process of its own, for tests: in a folder of its own, without network. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

export interface Ended {
  readonly code: number | undefined
  readonly out: string
  readonly err: string
}

/** `interruptAt`: sends one SIGINT when either stream has matched it. */
export interface CommandOptions {
  readonly input?: string
  readonly env?: Record<string, string>
  readonly interruptAt?: RegExp
}

export interface TestCommand {
  /** For the test's own files; caches lie there too. */
  readonly folder: string
  run(args: readonly string[], options?: CommandOptions): Promise<Ended>
  remove(): void
}

const cli = resolve(import.meta.dirname, "cli.ts")

export function createCommand(): TestCommand {
  const folder = mkdtempSync(join(tmpdir(), "forerun-cli-"))
  return {
    folder,
    run: (args, options = {}) => runIn(folder, args, options),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function runIn(folder: string, args: readonly string[], options: CommandOptions): Promise<Ended> {
  const { FORERUN_MODEL: _, FORERUN_MODELS: __, ...env } = process.env
  const child = spawn(process.execPath, ["--import", "tsx", cli, ...args], {
    env: {
      ...env,
      FORERUN_CACHE: join(folder, "cache"),
      HF_HOME: join(folder, "hf"),
      HF_HUB_OFFLINE: "1",
      ...options.env,
    },
  })
  let [out, err, interrupted] = ["", "", false]
  const look = () => {
    if (interrupted || !options.interruptAt?.test(out + err)) return
    interrupted = true
    child.kill("SIGINT")
  }
  child.stdout.on("data", (chunk) => {
    out += chunk
    look()
  })
  child.stderr.on("data", (chunk) => {
    err += chunk
    look()
  })
  child.stdin.end(options.input ?? "")
  return new Promise((done, fail) => {
    child.on("error", fail)
    child.on("close", (code) => done({ code: code ?? undefined, out, err }))
  })
}

export const objects = (out: string) =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
