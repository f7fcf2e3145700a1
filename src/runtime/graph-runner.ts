/** A small graph of a method's own (heads, a drafter) as a session: its passes are counted like a model's. */
import { ForerunError } from "../base/errors.ts"
import { externalBuffer, type Graph, serialize } from "../graph/index.ts"
import type { Device, ModelDevice } from "./devices.ts"
import { startGraphPeer } from "./graph-peer.ts"
import { Ledger, type Way } from "./ledger.ts"
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

type Feeds = Readonly<Record<string, GraphFeed>>
type Source = Required<SessionSource> & { readonly model: Uint8Array }

/** A graph at work somewhere. */
interface Place {
  run(
    feeds: Feeds,
    fetches: readonly string[],
  ): Promise<{ readonly found: Record<string, HostTensor>; readonly way: Way }>
  release(): Promise<void>
}

/** @throws E_RUNTIME when the device is not there, or refuses the graph */
export async function openGraph(graph: Graph, options: GraphOptions): Promise<GraphRunner> {
  const { threads, ledger = new Ledger(), device = "cpu" } = options
  const serialized = serialize(graph, location)
  const source = { model: serialized.model, external: { path: location, data: externalBuffer(serialized) } }
  const place = device === "process" ? await elsewhere(source, threads) : await here(source, threads, device)
  let queue: Promise<unknown> = Promise.resolve()
  return {
    run(feeds, fetches, rows = 1) {
      const run = queue.then(async () => {
        const begin = performance.now()
        const { found, way } = await place.run(feeds, fetches)
        const bytes = Object.values(found).reduce((sum, { data }) => sum + data.byteLength, 0)
        const milliseconds = performance.now() - begin - way[0] - way[1]
        // No layers and no logits of a model: only passes of a target explain what its rows cost.
        ledger.record({ rows, layers: 0, logitRows: 0, bytes, milliseconds, way })
        return found
      })
      queue = run.catch(() => {})
      return run
    },
    async dispose() {
      await queue
      await place.release()
    },
  }
}

async function here(source: Source, threads: number, device: ModelDevice): Promise<Place> {
  const session = await createSession(source, { threads, device })
  return {
    async run(feeds, fetches) {
      const tensors = Object.entries(feeds).map(
        ([name, { type, data, shape }]) => [name, session.tensor(type, data, shape)] as const,
      )
      return { found: await session.run(Object.fromEntries(tensors), fetches), way: [0, 0] }
    },
    release: () => session.release(),
  }
}

async function elsewhere({ model, external }: Source, threads: number): Promise<Place> {
  const peer = await startGraphPeer({ open: { model, external, threads } })
  return {
    async run(feeds, fetches) {
      const begin = performance.now()
      const { found, began, milliseconds } = await peer.ask({ run: { feeds, fetches } })
      if (!found || began === undefined || milliseconds === undefined)
        throw new ForerunError("E_INTERNAL", "a run without a result")
      const transfer = Math.max(0, performance.now() - begin - milliseconds)
      const there = Math.min(transfer, Math.max(0, began - performance.timeOrigin - begin))
      return { found, way: [there, transfer - there] }
    },
    release: () => peer.close(),
  }
}
