/** Runs forward passes of one model: the only place compute happens, so the only place cost is counted. */
import { asForerunError, ForerunError } from "../base/errors.ts"
import type { ModelGraph } from "../models/build-model.ts"
import { blockSize } from "../models/builder.ts"
import { concatenate } from "../tensor/concatenate.ts"
import { createFeeder, type Feeder } from "./feeds.ts"
import { HostCache, type NewRows } from "./kv-cache.ts"
import { Ledger } from "./ledger.ts"
import { checkMask } from "./mask.ts"
import type { Ability, ForwardPass, ForwardResult, Matrix, ModelRunner, TopLogits } from "./pass.ts"
import type { HostTensor, Session } from "./session.ts"

/** What the runner needs of the graph it runs. */
export type GraphFacts = Pick<ModelGraph, "config" | "ropeTables" | "windows" | "steerable">

export interface RunnerParts {
  readonly facts: GraphFacts
  readonly session: Session
  /** First layer's input for tokens: [rows · hidden]. */
  readonly embed: (tokens: Int32Array, positions: Int32Array) => Float32Array
  /** Makes a session anew: with every power, when one is first asked for that the plain graph lacks, or plain again. */
  readonly rebuild?: (steerable: boolean) => Promise<{ facts: GraphFacts; session: Session }>
}

const abilities: ReadonlySet<Ability> = new Set<Ability>([
  "causal-cache",
  "any-mask",
  "tree-mask",
  "explicit-positions",
  "hidden-states",
  "layer-spans",
  "embeddings-in",
  "chosen-logits",
  "top-k",
])

export class SessionRunner implements ModelRunner {
  readonly ledger = new Ledger()
  readonly abilities = abilities
  #parts: RunnerParts
  #feeder: Feeder
  /** The session was given up for another that could not be made. */
  #lost = false
  /** Passes run one after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#feeder = createFeeder(parts.facts, parts.session)
  }

  get config() {
    return this.#parts.facts.config
  }

  openCache(): HostCache {
    const { layers, kvHeads, headSize } = this.config
    return new HostCache({ layers, kvHeads, headSize })
  }

  forward(pass: ForwardPass): Promise<ForwardResult> {
    const run = this.#queue.then(() => this.#forward(pass))
    this.#queue = run.catch(() => {})
    return run
  }

  async dispose(): Promise<void> {
    await this.#queue
    await this.#parts.session.release()
  }

  async #forward(pass: ForwardPass): Promise<ForwardResult> {
    const request = this.#resolve(pass)
    if (this.#lost) await this.#use(false)
    if (!this.#parts.facts.steerable && this.#needsSteering(request)) await this.#makeSteerable()
    const room = blockSize - (request.past % blockSize)
    if (request.rows > room && request.mask === "causal") return this.#inChunks(request, room)
    return this.#single(request)
  }

  /** Checks a pass against the model and fills in defaults, before anything is allocated. */
  #resolve(pass: ForwardPass): Resolved {
    const { config } = this
    const layers = pass.layers ?? ([0, config.layers] as const)
    const [from, to] = layers
    if (![from, to].every(Number.isInteger) || from < 0 || to > config.layers || from > to)
      bad(`layers [${from}, ${to}) of a model with ${config.layers}`)
    const values =
      "tokens" in pass.input ? undefined : "embeddings" in pass.input ? pass.input.embeddings : pass.input.hidden
    if (from > 0 && "tokens" in pass.input) bad(`a span that starts at layer ${from} needs hidden states, found tokens`)
    const rows = "tokens" in pass.input ? pass.input.tokens.length : values!.length / config.hidden
    if (!Number.isInteger(rows) || rows < 1) bad(`input: needs at least one whole row of ${config.hidden} values`)
    if ("tokens" in pass.input)
      for (const token of pass.input.tokens)
        if (token < 0 || token >= config.vocabulary)
          bad(`token ${token} is outside the vocabulary of ${config.vocabulary}`)
    const given = pass.cache
    if (given !== undefined && !(given instanceof HostCache)) bad("cache: needs a cache opened by this model")
    if (given?.disposed) throw new ForerunError("E_DISPOSED", "the cache was disposed")
    const past = given?.lengths[Math.min(from, config.layers - 1)] ?? 0
    for (let layer = from; layer < to; layer++)
      if (given !== undefined && given.lengths[layer] !== past)
        bad(`layers [${from}, ${to}) hold caches of different lengths`)
    if (past + rows > config.context)
      throw new ForerunError(
        "E_CONTEXT_LENGTH",
        `${past} cached and ${rows} new positions exceed the context of ${config.context}`,
      )
    const positions = pass.positions ?? Int32Array.from({ length: rows }, (_, i) => past + i)
    if (positions.length !== rows) bad(`${rows} rows need ${rows} positions, found ${positions.length}`)
    for (const position of positions)
      if (position < 0 || position >= config.context)
        bad(`position ${position} is outside the context of ${config.context}`)
    const mask = pass.mask ?? "causal"
    const window = Math.min(...config.layer.slice(from, to).map((layer) => layer.slidingWindow ?? Infinity))
    checkMask(mask, rows, past, { window, positions, pastPositions: given?.positions ?? none })
    const want = pass.want ?? {}
    const logitRows = rowsWanted(want.logits ?? (want.top ? "last" : "none"), rows)
    const top = want.top ?? 0
    if (!Number.isInteger(top) || top < 0 || top > config.vocabulary)
      bad(`top ${top} of a vocabulary of ${config.vocabulary}`)
    const hidden = want.hidden ?? []
    for (const layer of hidden)
      if (layer !== "final" && !(Number.isInteger(layer) && layer >= from && layer <= to))
        bad(`hidden state ${layer} of layers [${from}, ${to})`)
    const cache = given ?? this.openCache() // the first allocation of any size
    return { input: pass.input, values, rows, cache, past, positions, mask, layers, logitRows, top, hidden }
  }

  /** A causal run of rows that crosses the end of a block, cut there: each part in turn, on a scratch copy of the cache. */
  async #inChunks(request: Resolved, room: number): Promise<ForwardResult> {
    const { rows, cache, logitRows } = request
    const width = this.config.hidden
    const scratch = cache.fork()
    const kept: { start: number; rows: NewRows }[] = []
    const results: { start: number; rows: number; result: ForwardResult }[] = []
    try {
      for (let start = 0, size = room; start < rows; start += size, size = blockSize) {
        const end = Math.min(rows, start + size)
        const inside = (row: number) => row >= start && row < end
        const { result, added } = await this.#run({
          ...request,
          input: "tokens" in request.input ? { tokens: request.input.tokens.subarray(start, end) } : request.input,
          values: request.values?.subarray(start * width, end * width),
          rows: end - start,
          cache: scratch,
          past: request.past + start,
          positions: request.positions.subarray(start, end),
          logitRows: logitRows.filter(inside).map((row) => row - start),
        })
        scratch.append(range(end - start), added)
        kept.push({ start, rows: added })
        results.push({ start, rows: end - start, result })
      }
    } finally {
      scratch.dispose()
    }
    const joined = join(results.map(({ result }) => result))
    return {
      ...joined,
      keep: once((chosen) => {
        for (const { start, rows: added } of kept) {
          const count = added.positions.length
          const local = chosen.filter((row) => row >= start && row < start + count).map((row) => row - start)
          cache.append(local, added)
        }
      }, rows),
    }
  }

  async #single(request: Resolved): Promise<ForwardResult> {
    const { result, added } = await this.#run(request)
    return { ...result, keep: once((rows) => request.cache.append(rows, added), request.rows) }
  }

  async #run(request: Resolved): Promise<{ result: ForwardResult; added: NewRows }> {
    const { session } = this.#parts
    const { rows, positions, mask, cache, layers, logitRows, top, hidden } = request
    const begin = performance.now()
    const x = "tokens" in request.input ? this.#parts.embed(request.input.tokens, positions) : request.values!
    const inner = hidden.some((layer) => layer !== "final")
    const feeds = this.#feeder({ x, positions, mask, cache, layers, logitRows, top, wantHidden: inner })
    const fetches = ["keys", "values"]
    if (logitRows.length > 0) fetches.push(...(top > 0 ? ["topValues", "topIndices", "topLogMass"] : ["logits"]))
    if (inner) fetches.push("hidden")
    if (hidden.includes("final")) fetches.push("final")
    const out = await session.run(feeds, fetches)
    const float = (name: string) => out[name]!.data as Float32Array
    const width = this.config.hidden
    const states = new Map<number | "final", Matrix>()
    for (const layer of hidden) {
      const data =
        layer === "final" ? float("final") : float("hidden").subarray(layer * rows * width, (layer + 1) * rows * width)
      states.set(layer, { data, rows, columns: width })
    }
    const bytes = Object.values(out).reduce((sum, tensor) => sum + tensor.data.byteLength, 0)
    const milliseconds = performance.now() - begin
    this.ledger.record({ rows, layers: layers[1] - layers[0], logitRows: logitRows.length, bytes, milliseconds })
    const added = { keys: float("keys"), values: float("values"), stride: rows, positions, layers }
    const picked = logitRows.length
    const result = {
      hidden: states,
      ...(picked > 0 && top === 0
        ? { logits: { data: float("logits"), rows: picked, columns: this.config.vocabulary } }
        : {}),
      ...(picked > 0 && top > 0 ? { top: topOf(out, picked, top) } : {}),
      keep: () => {},
    }
    return { result, added }
  }

  /** A part of the layers. */
  #needsSteering({ layers }: Resolved): boolean {
    return layers[0] !== 0 || layers[1] !== this.config.layers
  }

  async #makeSteerable(): Promise<void> {
    if (!this.#parts.rebuild)
      throw new ForerunError("E_ABILITY", "this model was loaded without layer spans and free masks")
    this.#lost = true
    await this.#parts.session.release() // never two copies of the weights
    try {
      await this.#use(true)
    } catch (thrown) {
      await this.#use(false).catch(() => {}) // tried again by the next pass
      const { code, message, hint } = asForerunError(thrown, "E_RUNTIME")
      throw new ForerunError(code, `layer spans and free masks could not be made ready: ${message}`, {
        cause: thrown,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }

  async #use(steerable: boolean): Promise<void> {
    const { facts, session } = await this.#parts.rebuild!(steerable)
    this.#parts = { ...this.#parts, facts, session }
    this.#feeder = createFeeder(facts, session)
    this.ledger.forgetTimes()
    this.#lost = false
  }
}

/** A checked pass with its defaults filled in. */
interface Resolved {
  readonly input: ForwardPass["input"]
  /** Embeddings or hidden states, when the input is not tokens. */
  readonly values: Float32Array | undefined
  readonly rows: number
  readonly cache: HostCache
  readonly past: number
  readonly positions: Int32Array
  readonly mask: NonNullable<ForwardPass["mask"]>
  readonly layers: readonly [number, number]
  readonly logitRows: readonly number[]
  readonly top: number
  readonly hidden: readonly (number | "final")[]
}

function bad(problem: string): never {
  throw new ForerunError("E_INPUT", problem)
}

const none = new Int32Array(0)
const range = (count: number) => Array.from({ length: count }, (_, i) => i)

function rowsWanted(want: "last" | "all" | "none" | readonly number[], rows: number): readonly number[] {
  if (want === "none") return []
  if (want === "last") return [rows - 1]
  if (want === "all") return range(rows)
  for (const row of want) if (!Number.isInteger(row) || row < 0 || row >= rows) bad(`logits of row ${row} of ${rows}`)
  return want
}

function once(append: (rows: readonly number[]) => void, count: number): ForwardResult["keep"] {
  let used = false
  return (rows) => {
    if (used) bad("keep was called twice for one pass")
    for (const row of rows) if (!Number.isInteger(row) || row < 0 || row >= count) bad(`keep row ${row} of ${count}`)
    used = true
    append(rows)
  }
}

function topOf(out: Readonly<Record<string, HostTensor>>, rows: number, top: number): TopLogits {
  const ids = Int32Array.from(out.topIndices!.data as BigInt64Array, Number)
  const logMasses = out.topLogMass!.data as Float32Array
  return { values: out.topValues!.data as Float32Array, ids, logMasses, rows, top }
}

/** Results of consecutive chunks as one. */
function join(results: readonly ForwardResult[]): ForwardResult {
  const stack = (parts: (Matrix | undefined)[]): Matrix | undefined => {
    const present = parts.filter((part) => part !== undefined)
    if (present.length === 0) return undefined
    const data = concatenate(
      present.map((part) => part.data),
      Float32Array,
    )
    return { data, rows: present.reduce((sum, part) => sum + part.rows, 0), columns: present[0]!.columns }
  }
  const hidden = new Map<number | "final", Matrix>()
  for (const key of results[0]!.hidden.keys()) hidden.set(key, stack(results.map((result) => result.hidden.get(key)))!)
  const logits = stack(results.map((result) => result.logits))
  const tops = results.map((result) => result.top).filter((top) => top !== undefined)
  const top = tops[0] && {
    values: concatenate(
      tops.map((part) => part.values),
      Float32Array,
    ),
    ids: concatenate(
      tops.map((part) => part.ids),
      Int32Array,
    ),
    logMasses: concatenate(
      tops.map((part) => part.logMasses),
      Float32Array,
    ),
    rows: tops.reduce((sum, part) => sum + part.rows, 0),
    top: tops[0].top,
  }
  return { hidden, ...(logits ? { logits } : {}), ...(top ? { top } : {}), keep: () => {} }
}
