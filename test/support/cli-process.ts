/** The command line as a child process that can be killed at a chosen moment. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { repository } from "./shared.ts"

export interface CliEnded {
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly out: string
  readonly err: string
}

export interface CliProcess {
  readonly child: ChildProcess
  readonly ended: Promise<CliEnded>
}

/** @param onText told all that was printed so far, whenever something is */
export function startCli(args: readonly string[], onText: (text: string, child: ChildProcess) => void = () => {}) {
  const { FORERUN_MODEL: _, ...env } = process.env
  const child = spawn(process.execPath, ["--import", "tsx", join(repository, "src/cli/cli.ts"), ...args], {
    env: { ...env, HF_HUB_OFFLINE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let [out, err] = ["", ""]
  child.stdout.on("data", (chunk) => {
    out += chunk
    onText(out + err, child)
  })
  child.stderr.on("data", (chunk) => {
    err += chunk
    onText(out + err, child)
  })
  const ended = new Promise<CliEnded>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined, out, err }))
  })
  return { child, ended } satisfies CliProcess
}

export const runCli = (args: readonly string[]): Promise<CliEnded> => startCli(args).ended
