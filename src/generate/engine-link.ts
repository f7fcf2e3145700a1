/** Where an engine runs, and how messages reach it: a thread of this process, or a process of its own. */
import { fork } from "node:child_process"
import { createRequire } from "node:module"
import { setPriority } from "node:os"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import { ForerunError } from "../base/errors.ts"
import type { FromEngine, ToEngine } from "./protocol.ts"

export interface EngineLink {
  /** Of a process of its own. */
  readonly pid?: number | undefined
  /** @throws when the message holds what cannot be sent, such as a function */
  send(message: ToEngine): void
  /** Whether the engine keeps this process alive. */
  ref(): void
  unref(): void
}

export interface LinkEvents {
  onMessage(message: FromEngine): void
  /** May be called more than once; the first says why. */
  onGone(error: ForerunError): void
}

export type StartLink = (events: LinkEvents) => EngineLink

const disposed = () => new ForerunError("E_DISPOSED", "the model was disposed")

export const startThread: StartLink = ({ onMessage, onGone }) => {
  const worker = startWorker()
  worker.on("message", onMessage)
  worker.on("error", (error) =>
    onGone(new ForerunError("E_RUNTIME", `the engine failed: ${error.message}`, { cause: error })),
  )
  worker.on("exit", () => onGone(disposed()))
  return {
    send: (message) => worker.postMessage(message),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  }
}

/** What it prints goes where errors go: this process's output is its own. Messages are cloned as for a thread. */
export const startProcess: StartLink = ({ onMessage, onGone }) => {
  const [entry, execArgv] = isSource
    ? ["./engine-process.ts", ["--import", typescriptLoader("loader.mjs")]]
    : ["./engine-process.js", []]
  const child = fork(fileURLToPath(new URL(entry, import.meta.url)), {
    serialization: "advanced",
    stdio: ["ignore", 2, 2, "ipc"],
    execArgv,
  })
  giveWay(child.pid)
  const lost = (how: string) => new ForerunError("E_ENGINE_LOST", `the engine's process was lost: ${how}`)
  let end: ForerunError | undefined
  child.on("message", (message) => onMessage(message as FromEngine))
  child.on("error", (error) => onGone(lost(error.message)))
  // Its last messages may come after the news of its end, but not after the channel's.
  child.on("exit", (code, signal) => {
    end = code === 0 ? disposed() : lost(signal ?? `exit code ${code}`)
    if (!child.connected) onGone(end)
  })
  child.on("disconnect", () => end && onGone(end))
  return {
    pid: child.pid,
    send(message) {
      // Between its death and the news of it there is nobody to send to; what was asked is rejected by the news.
      if (child.connected) child.send(message, () => {})
    },
    ref() {
      child.ref()
      child.channel?.ref()
    },
    unref() {
      child.unref()
      child.channel?.unref()
    },
  }
}

/** Where cores are few the one that talks to people goes first: its turns are short, the engine's are not. */
function giveWay(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, 5)
  } catch {} // it ended at once, or is not ours to ask: then they share
}

/** The published package is JavaScript; from sources (tests, tsx) a TypeScript loader is registered first. */
const isSource = import.meta.url.endsWith(".ts")

function startWorker(): Worker {
  if (!isSource) return new Worker(new URL("./engine-worker.js", import.meta.url))
  const entry = new URL("./engine-worker.ts", import.meta.url).href
  const code = `import(${JSON.stringify(typescriptLoader("esm/api/index.mjs"))}).then((tsx) => { tsx.register(); return import(${JSON.stringify(entry)}) })`
  return new Worker(code, { eval: true })
}

/** require.resolve would pick tsx's CommonJS entry, whose loader file does not exist. */
function typescriptLoader(file: string): string {
  const tsx = createRequire(import.meta.url).resolve("tsx/package.json")
  return new URL(`./dist/${file}`, pathToFileURL(tsx)).href
}
