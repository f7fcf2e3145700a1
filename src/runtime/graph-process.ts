/** The other process of a pair: runs one small graph on a CPU engine of its own. Started by graph-peer.ts. */
import { asForerunError } from "../base/errors.ts"
import type { FromProcess, ToProcess } from "./graph-peer.ts"
import type { Session } from "./session.ts"
import { createSession } from "./session-node.ts"

let session: Session | undefined

async function answer(message: ToProcess): Promise<FromProcess> {
  if ("open" in message) {
    const { model, external, threads } = message.open
    session = await createSession({ model, external }, { threads, device: "cpu" })
    return {}
  }
  const running = session!
  const begin = performance.now()
  const feeds = Object.entries(message.run.feeds).map(
    ([name, { type, data, shape }]) => [name, running.tensor(type, data, shape)] as const,
  )
  const found = await running.run(Object.fromEntries(feeds), message.run.fetches)
  const outputs = Object.entries(found).map(([name, { data, dims }]) => [name, { data, dims: [...dims] }] as const)
  return {
    found: Object.fromEntries(outputs),
    began: performance.timeOrigin + begin,
    milliseconds: performance.now() - begin,
  }
}

process.on("message", (message: ToProcess) => {
  answer(message)
    .catch((thrown: unknown): FromProcess => ({ error: asForerunError(thrown, "E_RUNTIME").toJSON() }))
    .then((reply) => process.send!(reply))
})
process.on("disconnect", () => process.exit(0))
