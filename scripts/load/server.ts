/** The server under load: started as users start it, watched from outside. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"

export interface LoadedServer {
  readonly url: string
  /** Of the server, and of its engine while it is up. */
  state(): Promise<{ readonly running: number; readonly waiting: number; readonly engine: { readonly pid: number } }>
  /** MiB resident. */
  memory(): Promise<{ readonly server: number; readonly engine: number }>
  /** Milliseconds: the longest delay of its event loop since the last time this was asked. */
  lag(): Promise<number>
  isAlive(): boolean
  end(): Promise<number | null>
}

export async function startServer(command: readonly string[]): Promise<LoadedServer> {
  const [program, ...args] = command
  const child: ChildProcess = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] })
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  const [line] = await new Promise<[string]>((resolve, reject) => {
    createInterface(child.stdout!).once("line", (text) => resolve([text]))
    child.once("exit", () => reject(new Error("the server ended before it was up")))
  })
  const { url } = JSON.parse(line)
  const state: LoadedServer["state"] = async () => {
    for (;;) {
      const response = await fetch(`${url}/ready`)
      if (response.ok) return (await response.json()) as Awaited<ReturnType<LoadedServer["state"]>>
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return {
    url,
    state,
    async memory() {
      const { engine } = await state()
      return { server: resident(child.pid!), engine: resident(engine.pid) }
    },
    async lag() {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)![1]) * 1000
    },
    isAlive: () => child.exitCode === null && child.signalCode === null,
    end() {
      child.kill("SIGTERM")
      return ended
    },
  }
}

const resident = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024
