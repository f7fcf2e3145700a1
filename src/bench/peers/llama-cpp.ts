/** llama.cpp, through node-llama-cpp, in a child process: its spinning threads must not meet ours. */
import { fork } from "node:child_process"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { ForerunError } from "../../base/errors.ts"
import { type RunnerCall, type RunnerReply, type RunnerRequest, runnerFile } from "./llama-cpp-runner.ts"
import type { PeerEngine, PeerJobTiming, PeerSettings, PeerTiming } from "./peer.ts"

const packageName = "node-llama-cpp"
const hint = `npm install --no-save ${packageName}@3.22.1`

/** @throws E_PEER when node-llama-cpp is missing or cannot load the model */
export async function startLlamaCpp({ signal, ...settings }: PeerSettings, module = packageName): Promise<PeerEngine> {
  signal?.throwIfAborted()
  const child = fork(runnerFile, [], { execArgv: loaderArguments(), stdio: ["ignore", "ignore", "pipe", "ipc"] })
  const pending = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  let nextId = 1
  let errors = ""
  let gone: ForerunError | undefined
  child.stderr!.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-2000)
  })
  child.on("message", (reply: RunnerReply) => {
    const waiting = pending.get(reply.id)
    pending.delete(reply.id)
    if ("result" in reply) waiting?.resolve(reply.result)
    else if (reply.missing)
      waiting?.reject(new ForerunError("E_PEER", `llama.cpp needs the package ${packageName}`, { hint }))
    else waiting?.reject(new ForerunError("E_PEER", `llama.cpp failed: ${reply.failure}`))
  })
  const fail = (error: ForerunError) => {
    gone ??= error
    for (const { reject } of pending.values()) reject(gone)
    pending.clear()
  }
  child.on("error", (cause) => fail(new ForerunError("E_PEER", `llama.cpp did not start: ${cause.message}`, { cause })))
  child.on("exit", (code, by) =>
    fail(new ForerunError("E_PEER", `llama.cpp's process ended (${by ?? code})${errors === "" ? "" : `: ${errors}`}`)),
  )
  const kill = () => {
    fail(new ForerunError("E_ABORTED", "the benchmark was aborted"))
    child.kill("SIGKILL")
  }
  signal?.addEventListener("abort", kill)

  function call<T>(request: RunnerCall): Promise<T> {
    if (gone) return Promise.reject(gone)
    const id = nextId++
    return new Promise<T>((resolve, reject) => {
      pending.set(id, { resolve: (result) => resolve(result as T), reject })
      child.send({ ...request, id } satisfies RunnerRequest)
    })
  }

  const stop = async () => {
    signal?.removeEventListener("abort", kill)
    if (gone) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    await call({ name: "stop" }).catch(() => {})
    child.kill("SIGKILL") // the native library may keep threads; nothing of value is left in there
    await ended
  }
  try {
    const version = await call<string>({ name: "load", module, settings })
    return {
      version,
      run: (tokens, count) => call<PeerTiming>({ name: "run", tokens, count }),
      runJob: (requests, pairing) => call<PeerJobTiming>({ name: "job", requests, pairing }),
      cpuMs: () => call<number>({ name: "cpu" }),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

/** From sources the child needs the TypeScript loader that runs us; the published package is JavaScript. */
function loaderArguments(): string[] {
  if (!runnerFile.endsWith(".ts")) return []
  const tsx = createRequire(import.meta.url).resolve("tsx/package.json")
  return ["--import", new URL("./dist/loader.mjs", pathToFileURL(tsx)).href]
}
