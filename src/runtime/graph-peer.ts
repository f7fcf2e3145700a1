/** A small graph in a process of its own: what is fed and fetched crosses a pipe, and the time of that is told apart. */
import { type ChildProcess, fork } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type ErrorCode, ForerunError } from "../base/errors.ts"
import type { GraphFeed } from "./graph-runner.ts"
import type { HostTensor } from "./session.ts"

export type ToProcess =
  | {
      readonly open: {
        readonly model: Uint8Array
        readonly external: { readonly path: string; readonly data: Uint8Array }
        readonly threads: number
      }
    }
  | { readonly run: RunMessage }
  /** The URL of a module whose `start` gives what answers calls. */
  | { readonly start: { readonly module: string; readonly setup: unknown } }
  | { readonly call: unknown }

interface RunMessage {
  readonly feeds: Readonly<Record<string, GraphFeed>>
  readonly fetches: readonly string[]
  readonly rows: number
}

/** A run of the graph there. */
export interface RemotePass {
  readonly rows: number
  /** When it began, in milliseconds since the epoch: the processes' clocks share nothing else. */
  readonly began: number
  readonly milliseconds: number
}

export interface FromProcess {
  /** Of a run. */
  readonly found?: Readonly<Record<string, HostTensor>>
  /** Of a call. */
  readonly value?: unknown
  /** The graph's runs, of either. */
  readonly passes?: readonly RemotePass[]
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly hint?: string }
}

export interface GraphPeer {
  readonly pid: number
  /** One at a time. @throws E_RUNTIME when the process is gone */
  ask(message: ToProcess): Promise<FromProcess>
  close(): Promise<void>
}

/** @throws E_RUNTIME when the process cannot open the graph */
export async function startGraphPeer(graph: Extract<ToProcess, { open: unknown }>): Promise<GraphPeer> {
  const child = startProcess()
  let gone: ForerunError | undefined
  let pending: { resolve(reply: FromProcess): void; reject(error: Error): void } | undefined
  const fail = (message: string) => {
    gone ??= new ForerunError("E_RUNTIME", message)
    pending?.reject(gone)
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  child.once("exit", (code, signal) => fail(`the drafting process ended (${signal ?? code})`))
  child.once("error", (error) => fail(`the drafting process failed: ${error.message}`))
  child.on("message", (reply: FromProcess) => pending?.resolve(reply))
  const peer: GraphPeer = {
    pid: child.pid ?? 0,
    async ask(message) {
      if (gone) throw gone
      const reply = await new Promise<FromProcess>((resolve, reject) => {
        pending = { resolve, reject }
        child.send(message)
      })
      if (reply.error) throw new ForerunError(reply.error.code, reply.error.message)
      return reply
    },
    async close() {
      gone ??= new ForerunError("E_DISPOSED", "the model was disposed")
      if (child.connected) child.disconnect() // it ends by itself
      await ended
    },
  }
  try {
    await peer.ask(graph)
    return peer
  } catch (thrown) {
    await peer.close()
    throw thrown
  }
}

/** "advanced" messages carry typed arrays as they are. From sources, the process registers a TypeScript loader first. */
function startProcess(): ChildProcess {
  const isSource = import.meta.url.endsWith(".ts")
  const entry = new URL(isSource ? "./graph-process.ts" : "./graph-process.js", import.meta.url)
  const tsx = () => pathToFileURL(createRequire(import.meta.url).resolve("tsx/package.json"))
  const loader = () => new URL("./dist/loader.mjs", tsx()).href
  return fork(fileURLToPath(entry), { serialization: "advanced", execArgv: isSource ? ["--import", loader()] : [] })
}
