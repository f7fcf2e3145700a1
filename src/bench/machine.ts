/** Where and from what a result comes: machine, date, commit. */
import { execFileSync } from "node:child_process"
import { createRequire } from "node:module"
import { availableParallelism, cpus, totalmem } from "node:os"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly platform: string
  readonly node: string
  readonly onnxruntime: string
}

export interface Source {
  /** ISO date and time, UTC. */
  readonly date: string
  /** Of the checkout, with "-dirty" when files under src differ from it; undefined outside a checkout. */
  readonly commit?: string
  readonly version: string
}

export function describeMachine(): Machine {
  const cpu = cpus()[0]?.model.trim() || "unknown"
  return {
    cpu: cpu.replace(/\((R|TM)\)/g, "").replace(/\s+/g, " "),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    onnxruntime: versionOf("onnxruntime-node"),
  }
}

export function describeSource(): Source {
  const commit = commitOf(dirname(fileURLToPath(import.meta.url)))
  return { date: new Date().toISOString(), ...(commit === undefined ? {} : { commit }), version: versionOf("../..") }
}

/** "xeon-platinum-8481c-2-cores", for file names. */
export function machineSlug({ cpu, cores }: Pick<Machine, "cpu" | "cores">): string {
  const words = cpu
    .toLowerCase()
    .replace(/@.*|\b(intel|amd|cpu|processor|core)\b/g, "")
    .replace(/[^a-z0-9]+/g, "-")
  return `${words.replace(/^-+|-+$/g, "") || "machine"}-${cores}-cores`
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url)
  try {
    return (require(`${name}/package.json`) as { version: string }).version
  } catch {
    return "unknown"
  }
}

function commitOf(folder: string): string | undefined {
  const git = (...words: string[]) =>
    execFileSync("git", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  try {
    // A package installed inside somebody's checkout must not report that checkout's commit.
    if (!/^src\/bench\/?$|^dist\/bench\/?$/.test(git("rev-parse", "--show-prefix"))) return undefined
    const commit = git("rev-parse", "--short=12", "HEAD")
    return git("status", "--porcelain", "--", ":/src") === "" ? commit : `${commit}-dirty`
  } catch {
    return undefined
  }
}
