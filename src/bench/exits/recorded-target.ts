/** A model's stand-in made of recorded exits: it takes the passes that early-exit methods ask for and says what was recorded. */
import type { ModelConfig } from "../../models/config.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { Ledger } from "../../runtime/ledger.ts"
import type { Ability, ForwardPass, ForwardResult, Matrix, ModelRunner, TopLogits } from "../../runtime/pass.ts"
import type { RecordedExits } from "./recorded-exits.ts"

/** What a pass had to do. */
export interface ReplayedPass {
  readonly rows: number
  readonly from: number
  readonly to: number
  readonly logitRows: number
}

export interface RecordedTarget {
  readonly runner: ModelRunner
  /** As long as the recorded part of the prompt; what it says does not matter. */
  readonly prompt: Int32Array
  /** As the runner numbers its tokens. */
  readonly stopIds: ReadonlySet<number>
  /** Of the answer, where its length was what ended it. */
  readonly maxTokens: number
  /** The passes since this was last asked. */
  taken(): ReplayedPass[]
}

const abilities: ReadonlySet<Ability> = new Set(["causal-cache", "layer-spans", "hidden-states", "top-k"])

/** A row's hidden state is one number: the layers it has run, and its place. Both fit, exactly. */
const places = 2 ** 16
const stateOf = (layer: number, place: number): number => layer * places + place

export function createRecordedTarget(recorded: RecordedExits, model: ModelConfig): RecordedTarget {
  const { answer, promptRows, said } = recorded
  // Only tokens that somebody says have a number, so that rows of logits are short.
  const spoken = [...new Set([...answer, ...[...said.values()].flatMap(({ tokens }) => [...tokens])])]
  const numbers = new Map(spoken.map((token, number) => [token, number]))
  const unknown = spoken.length
  const config: ModelConfig = { ...model, hidden: 1, vocabulary: spoken.length + 1, context: places }
  const { layers, vocabulary } = config
  let passes: ReplayedPass[] = []

  /** A draft may go on behind the answer's end, where nothing was recorded and nothing comes true. */
  const tokenAt = (layer: number, place: number) => numbers.get(said.get(layer)!.tokens[place]!) ?? unknown
  const confidenceAt = (layer: number, place: number) => said.get(layer)!.confidence[place] ?? 0.5
  /** Logits of which a softmax makes the recorded probability, the rest shared alike. */
  function logitsOf(layer: number, rows: readonly number[], isAstray: boolean): Matrix {
    const data = new Float32Array(rows.length * vocabulary)
    for (const [i, place] of rows.entries()) {
      const share = Math.min(1 - 1e-6, Math.max(1e-6, confidenceAt(layer, place)))
      const logit = Math.log((share / (1 - share)) * (vocabulary - 1))
      data[i * vocabulary + (isAstray ? unknown : tokenAt(layer, place))] = Math.max(logit, 1e-3) // it is the likeliest, however unsure
    }
    return { data, rows: rows.length, columns: vocabulary }
  }
  /** Of states of several layers: what the head says of each. */
  function topOf(states: Float32Array): TopLogits {
    const each = Array.from(states, (state) => [Math.floor(state / places), state % places] as const)
    return {
      ids: Int32Array.from(each, ([layer, place]) => tokenAt(layer, place)),
      values: Float32Array.from(each, ([layer, place]) => Math.log(confidenceAt(layer, place))),
      logMasses: new Float32Array(each.length),
      rows: each.length,
      top: 1,
    }
  }

  const runner: ModelRunner = {
    config,
    abilities,
    ledger: new Ledger(),
    openCache: () => new RecordedCache(),
    async forward({ input, cache, layers: [from, to] = [0, layers], want = {} }: ForwardPass): Promise<ForwardResult> {
      const past = cache as RecordedCache
      const isHead = from === layers
      const states = "hidden" in input ? input.hidden : undefined
      const count = states?.length ?? ("tokens" in input ? input.tokens.length : 0)
      const rows = Array.from({ length: count }, (_, i) =>
        states ? states[i]! % places : past.length + past.ahead + i,
      )
      if ("tokens" in input && to < layers && numbers.get(answer[rows[0]! - promptRows]!) !== input.tokens[0])
        past.isAstray = true
      const asked = want.logits === "last" ? rows.slice(-1) : want.logits === "all" ? rows : []
      passes.push({ rows: count, from, to, logitRows: asked.length })
      const hidden = new Map<number | "final", Matrix>()
      for (const layer of want.hidden ?? [])
        if (layer !== "final")
          hidden.set(layer, {
            data: Float32Array.from(rows, (place) => stateOf(layer, place)),
            rows: count,
            columns: 1,
          })
      return {
        ...(asked.length === 0
          ? {}
          : isHead
            ? { top: topOf(states!) }
            : { logits: logitsOf(to, asked, to < layers && past.isAstray) }),
        hidden,
        keep(kept) {
          if (to < layers) past.ahead += kept.length
          else past.length += kept.length
        },
      }
    },
  }
  return {
    runner,
    prompt: new Int32Array(promptRows),
    stopIds: new Set(model.eosTokens.flatMap((token) => numbers.get(token) ?? [])),
    maxTokens: model.eosTokens.includes(answer.at(-1)!) ? Number.POSITIVE_INFINITY : answer.length,
    taken() {
      const since = passes
      passes = []
      return since
    },
  }
}

class RecordedCache implements KvCache {
  length = 0
  /** Rows that the first layers have beside. */
  ahead = 0
  /** The last of them is a token that the text does not have there: what is said behind it can no longer come true. */
  isAstray = false

  fork(): KvCache {
    const other = new RecordedCache()
    other.length = this.length
    return other
  }

  rewind(length: number): void {
    this.length = length
    this.ahead = 0
    this.isAstray = false
  }

  dispose(): void {}
}
