/** The other process of a pair: runs one small graph on a CPU engine of its own. Started by graph-peer.ts. */
import { asForerunError } from "../base/errors.ts"
import type { FromProcess, RemotePass, ToProcess } from "./graph-peer.ts"
import type { GraphRunner } from "./graph-runner.ts"
import type { HostTensor, Session } from "./session.ts"
import { createSession } from "./session-node.ts"

/** What a module gives that works beside the graph: `start`, of a runner and its setup, to what answers calls. */
export interface ProgramModule {
  start(runner: Pick<GraphRunner, "run">, setup: unknown): (call: unknown) => Promise<unknown>
}

let session: Session | undefined
let program: ReturnType<ProgramModule["start"]> | undefined
let passes: RemotePass[] = []

const run: GraphRunner["run"] = async (feeds, fetches, rows = 1) => {
  const running = session!
  const begin = performance.now()
  const tensors = Object.entries(feeds).map(
    ([name, { type, data, shape }]) => [name, running.tensor(type, data, shape)] as const,
  )
  const found = await running.run(Object.fromEntries(tensors), fetches)
  const outputs = Object.entries(found).map(([name, { data, dims }]) => [name, { data, dims: [...dims] }] as const)
  passes.push({ began: performance.timeOrigin + begin, milliseconds: performance.now() - begin, rows })
  return Object.fromEntries(outputs) as Record<string, HostTensor>
}

async function answer(message: ToProcess): Promise<FromProcess> {
  passes = []
  if ("open" in message) {
    const { model, external, threads } = message.open
    session = await createSession({ model, external }, { threads, device: "cpu" })
    return {}
  }
  if ("start" in message) {
    const { start }: ProgramModule = await import(message.start.module)
    program = start({ run }, message.start.setup)
    return {}
  }
  if ("call" in message) return { value: await program!(message.call), passes }
  return { found: await run(message.run.feeds, message.run.fetches, message.run.rows), passes }
}

process.on("message", (message: ToProcess) => {
  answer(message)
    .catch((thrown: unknown): FromProcess => ({ error: asForerunError(thrown, "E_RUNTIME").toJSON() }))
    .then((reply) => process.send!(reply))
})
process.on("disconnect", () => process.exit(0))
