/** A small graph of a method's own (heads, a drafter) as a session: its passes are counted like a model's. */
import { externalBuffer, type Graph, serialize } from "../graph/index.ts"
import { Ledger } from "./ledger.ts"
import type { HostTensor, HostType } from "./session.ts"
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

/** Weights of such a graph never touch the disk. */
const location = "weights.bin"

export async function openGraph(
  graph: Graph,
  { threads, ledger = new Ledger() }: { readonly threads: number; readonly ledger?: Ledger },
): Promise<GraphRunner> {
  const serialized = serialize(graph, location)
  const external = { path: location, data: externalBuffer(serialized) }
  const session = await createSession({ model: serialized.model, external }, { threads, device: "cpu" })
  let queue: Promise<unknown> = Promise.resolve()
  return {
    run(feeds, fetches, rows = 1) {
      const run = queue.then(async () => {
        const begin = performance.now()
        const tensors = Object.entries(feeds).map(
          ([name, { type, data, shape }]) => [name, session.tensor(type, data, shape)] as const,
        )
        const found = await session.run(Object.fromEntries(tensors), fetches)
        const bytes = Object.values(found).reduce((sum, { data }) => sum + data.byteLength, 0)
        // No layers and no logits of a model: only passes of a target explain what its rows cost.
        ledger.record({ rows, layers: 0, logitRows: 0, bytes, milliseconds: performance.now() - begin })
        return found
      })
      queue = run.catch(() => {})
      return run
    },
    async dispose() {
      await queue
      await session.release()
    },
  }
}
