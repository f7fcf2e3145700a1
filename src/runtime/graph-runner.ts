/** A small graph of a method's own (heads, a drafter) as a session: its passes are counted like a model's. */
import { ForerunError } from "../base/errors.ts"
import { externalBuffer, type Graph, serialize } from "../graph/index.ts"
import type { Device, ModelDevice } from "./devices.ts"
import { type RemotePass, startGraphPeer, type ToProcess } from "./graph-peer.ts"
import { Ledger } from "./ledger.ts"
import type { HostTensor, HostType, SessionSource } from "./session.ts"
import { createSession } from "./session-node.ts"

/** What goes into a run, by the name of the graph's input. */
export interface GraphFeed {
  readonly type: HostType
  readonly shape: readonly number[]
  readonly data: HostTensor["data"]
}

export interface GraphRunner {
  /**
   * Runs one after the other, also when several callers ask at once.
   * @param rows that go through it, for the ledger; default 1
   * @throws E_RUNTIME when names, types or shapes do not fit the graph; E_DISPOSED
   */
  run(
    feeds: Readonly<Record<string, GraphFeed>>,
    fetches: readonly string[],
    rows?: number,
  ): Promise<Readonly<Record<string, HostTensor>>>
  /**
   * Where the graph runs in a process of its own: puts a module beside it there, whose `start` (see graph-process.ts)
   * gives what answers calls. Setup, calls and answers are plain data.
   */
  start?(module: URL, setup: unknown): Promise<(call: unknown) => Promise<unknown>>
  /** Waits for the run in progress. */
  dispose(): Promise<void>
}

export interface GraphOptions {
  readonly threads: number
  readonly ledger?: Ledger
  /** Default: the CPU. */
  readonly device?: Device
}

/** Weights of such a graph never touch the disk. */
const location = "weights.bin"

type Source = Required<SessionSource> & { readonly model: Uint8Array }

/** @throws E_RUNTIME when the device is not there, or refuses the graph */
export async function openGraph(graph: Graph, options: GraphOptions): Promise<GraphRunner> {
  const { threads, ledger = new Ledger(), device = "cpu" } = options
  const serialized = serialize(graph, location)
  const source = { model: serialized.model, external: { path: location, data: externalBuffer(serialized) } }
  return device === "process" ? elsewhere(source, { threads, ledger }) : here(source, { threads, ledger, device })
}

/** One after the other. */
function createQueue() {
  let queue: Promise<unknown> = Promise.resolve()
  return {
    add<T>(work: () => Promise<T>): Promise<T> {
      const done = queue.then(work)
      queue = done.catch(() => {})
      return done
    },
    empty: () => queue,
  }
}

/** No layers and no logits of a model: only passes of a target explain what its rows cost. */
const small = { layers: 0, logitRows: 0 }

const bytesOf = (found: Readonly<Record<string, HostTensor>>) =>
  Object.values(found).reduce((sum, { data }) => sum + data.byteLength, 0)

type HereOptions = Required<Pick<GraphOptions, "threads" | "ledger">> & { readonly device: ModelDevice }

async function here(source: Source, { threads, ledger, device }: HereOptions): Promise<GraphRunner> {
  const session = await createSession(source, { threads, device })
  const queue = createQueue()
  return {
    run: (feeds, fetches, rows = 1) =>
      queue.add(async () => {
        const begin = performance.now()
        const tensors = Object.entries(feeds).map(
          ([name, { type, data, shape }]) => [name, session.tensor(type, data, shape)] as const,
        )
        const found = await session.run(Object.fromEntries(tensors), fetches)
        ledger.record({ ...small, rows, bytes: bytesOf(found), milliseconds: performance.now() - begin })
        return found
      }),
    async dispose() {
      await queue.empty()
      await session.release()
    },
  }
}

async function elsewhere(source: Source, { threads, ledger }: Omit<HereOptions, "device">): Promise<GraphRunner> {
  const { model, external } = source
  const peer = await startGraphPeer({ open: { model, external, threads } })
  const queue = createQueue()
  const ask = (message: ToProcess) =>
    queue.add(async () => {
      const begin = performance.now()
      const reply = await peer.ask(message)
      const { passes = [], found = {} } = reply
      for (const pass of recordsOf(passes, begin)) ledger.record({ ...small, bytes: bytesOf(found), ...pass })
      return reply
    })
  return {
    async run(feeds, fetches, rows = 1) {
      const { found } = await ask({ run: { feeds, fetches, rows } })
      if (!found) throw new ForerunError("E_INTERNAL", "a run without a result")
      return found
    },
    async start(module, setup) {
      await ask({ start: { module: module.href, setup } })
      return async (call) => (await ask({ call })).value
    },
    async dispose() {
      await queue.empty()
      await peer.close()
    },
  }
}

/** Passes there on this process's clock; what came before the first and after the last was the way. */
function recordsOf(passes: readonly RemotePass[], begin: number) {
  const now = performance.now()
  return passes.map(({ rows, began, milliseconds }, i) => {
    const end = began - performance.timeOrigin + milliseconds
    const there = i === 0 ? Math.max(0, end - milliseconds - begin) : 0
    const back = i === passes.length - 1 ? Math.max(0, now - end) : 0
    return { rows, milliseconds, way: [there, back] as const, end: end + back }
  })
}
