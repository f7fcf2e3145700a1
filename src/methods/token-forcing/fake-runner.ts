/** A runner without a model, for tests: what comes next is looked up by the tokens that a row can see, masks obeyed. */
import type { KvCache } from "../../runtime/kv-cache.ts"
import { Ledger } from "../../runtime/ledger.ts"
import type { ForwardPass, ForwardResult, ModelRunner } from "../../runtime/pass.ts"

/** Probabilities of tokens after these; what is left over is spread evenly. */
export type Script = (seen: readonly number[]) => ReadonlyMap<number, number>

class FakeCache implements KvCache {
  readonly tokens: number[]
  disposed = false
  readonly #all: FakeCache[]
  constructor(all: FakeCache[], tokens: readonly number[] = []) {
    this.tokens = [...tokens]
    this.#all = all
    all.push(this)
  }
  get length(): number {
    return this.tokens.length
  }
  fork(): FakeCache {
    return new FakeCache(this.#all, this.tokens)
  }
  rewind(length: number): void {
    this.tokens.length = length
  }
  dispose(): void {
    this.disposed = true
  }
}

export interface FakeRunner {
  readonly runner: ModelRunner
  readonly caches: readonly { readonly disposed: boolean }[]
}

export function createFakeRunner(vocabulary: number, script: Script): FakeRunner {
  const caches: FakeCache[] = []
  async function forward({ input, cache: given, mask = "causal" }: ForwardPass): Promise<ForwardResult> {
    const cache = (given ?? new FakeCache(caches)) as FakeCache
    const tokens = Array.from((input as { tokens: Int32Array }).tokens)
    const all = [...cache.tokens, ...tokens]
    const data = new Float32Array(tokens.length * vocabulary)
    for (const row of tokens.keys()) {
      const sees = (column: number) =>
        typeof mask === "object" && "data" in mask
          ? mask.data[row * mask.columns + column] === 1
          : column <= cache.length + row
      const next = script(all.filter((_, column) => sees(column)))
      const named = [...next.values()].reduce((sum, p) => sum + p, 0)
      const rest = Math.log(Math.max(1e-30, (1 - named) / (vocabulary - next.size)))
      for (let id = 0; id < vocabulary; id++)
        data[row * vocabulary + id] = next.has(id) ? Math.log(next.get(id)!) : rest
    }
    const logits = { data: data.subarray(-vocabulary), rows: 1, columns: vocabulary }
    return {
      logits: typeof mask === "object" ? { data, rows: tokens.length, columns: vocabulary } : logits,
      hidden: new Map(),
      keep: (rows) => void cache.tokens.push(...rows.map((row) => tokens[row]!)),
    }
  }
  const config = { vocabulary, context: 1000, eosTokens: [] } as unknown as ModelRunner["config"]
  const runner: ModelRunner = {
    config,
    abilities: new Set(["causal-cache", "any-mask", "explicit-positions"]),
    ledger: new Ledger(),
    openCache: () => new FakeCache(caches),
    forward,
  }
  return { runner, caches }
}
