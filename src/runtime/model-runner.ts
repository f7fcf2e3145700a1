/**
 * Runs forward passes of one model: the only place compute happens, so the only place cost is counted. Passes that are
 * asked for in the same tick, by runs that know nothing of each other, become one pass of the session.
 */
import { asForerunError, ForerunError } from "../base/errors.ts"
import type { ModelGraph } from "../models/build-model.ts"
import { blockSize } from "../models/builder.ts"
import { concatenate } from "../tensor/concatenate.ts"
import { Arena } from "./arena.ts"
import type { Feeds } from "./common-feeds.ts"
import { createFeeder } from "./feeds.ts"
import { HostCache } from "./kv-cache.ts"
import { Ledger } from "./ledger.ts"
import { chooseMembers, defaultLimits, type MergeLimits } from "./merge-queue.ts"
import { createMergedFeeder } from "./merged-feeds.ts"
import type { Ability, ForwardPass, ForwardResult, ModelRunner } from "./pass.ts"
import { fetchesOf, inChunks, once, type Ran, resultsOf, wantsInner } from "./pass-results.ts"
import { type Resolved, resolvePass } from "./resolve-pass.ts"
import type { Session } from "./session.ts"

/** What the runner needs of the graph it runs. */
export type GraphFacts = Pick<ModelGraph, "config" | "ropeTables" | "windows" | "steerable" | "merged">

/** What a graph can do beside whole passes over one sequence; each makes it slower. */
export type GraphPowers = Pick<ModelGraph, "steerable" | "merged">

export interface RunnerParts {
  readonly facts: GraphFacts
  readonly session: Session
  /** First layer's input for tokens: [rows · hidden]. */
  readonly embed: (tokens: Int32Array, positions: Int32Array) => Float32Array
  /** Makes a session anew: with more powers when one is first asked for that the graph lacks, or with fewer again. */
  readonly rebuild?: (powers: GraphPowers) => Promise<{ facts: GraphFacts; session: Session }>
  /** What it took to make the session, in milliseconds. */
  readonly price?: number
  readonly limits?: MergeLimits
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

/** A pass that waits for its turn. */
interface Waiting {
  /** Checked again when it runs if its cache has changed since. */
  request: Resolved
  readonly again: () => Resolved
  /** Of the run that asked for it. */
  readonly ledger: Ledger | undefined
  readonly done: (ran: Ran) => void
  readonly failed: (thrown: unknown) => void
}

export class SessionRunner implements ModelRunner {
  readonly ledger = new Ledger()
  readonly abilities = abilities
  readonly arena: Arena
  #parts: RunnerParts
  #fill: (requests: readonly Resolved[]) => Feeds
  /** The session was given up for another that could not be made. */
  #lost = false
  /** Milliseconds that a merging graph would have saved so far: at the price of making one, it is made. */
  #regret = 0
  /** Milliseconds that the plain graph would have saved since passes last ran together: at its price, it comes back. */
  #leisure = 0
  /** It was asked for a merging graph from the start. */
  readonly #staysMerged: boolean
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#staysMerged = parts.facts.merged
    const { layers, kvHeads, headSize } = parts.facts.config
    this.arena = new Arena({ layers, kvHeads, headSize })
    this.#fill = this.#filler()
  }

  get config() {
    return this.#parts.facts.config
  }

  openCache(): HostCache {
    return new HostCache(this.arena)
  }

  forward(pass: ForwardPass): Promise<ForwardResult> {
    return this.#forward(pass)
  }

  /** The same runner for one run among several: its ledger holds that run's share of the passes. */
  forRun(): ModelRunner {
    const ledger = new Ledger()
    return {
      config: this.config,
      abilities,
      ledger,
      openCache: () => this.openCache(),
      forward: (pass) => this.#forward(pass, ledger),
    }
  }

  async dispose(): Promise<void> {
    while (this.#running) await this.#running
    await this.#parts.session.release()
  }

  async #forward(pass: ForwardPass, ledger?: Ledger): Promise<ForwardResult> {
    const resolve = () => resolvePass(pass, this.config, () => this.openCache())
    const request = resolve()
    if (request.rows > blockSize - (request.past % blockSize) && request.mask === "causal")
      return inChunks(request, this.config.hidden, (part) =>
        this.#enqueue({ request: part, again: () => part, ledger }),
      )
    const { result, added } = await this.#enqueue({ request, again: resolve, ledger })
    return { ...result, keep: once((rows) => request.cache.append(rows, added), request.rows) }
  }

  #enqueue(wanted: Pick<Waiting, "request" | "again" | "ledger">): Promise<Ran> {
    return new Promise((done, failed) => {
      this.#waiting.push({ ...wanted, done, failed })
      this.#running ??= this.#drain()
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await nextTurn() // everybody who was given a result has asked for the next pass by then
      this.#waiting = this.#waiting.filter(isSound)
      if (this.#waiting.length === 0) continue
      const requests = this.#waiting.map(({ request }) => request)
      const chosen = chooseMembers(requests, this.config.layers, this.#parts.limits ?? defaultLimits)
      const alone = chosen.length > 1 && !this.#parts.facts.merged && !this.#pays()
      const members = (alone ? [0] : chosen).map((i) => this.#waiting[i]!)
      this.#waiting = this.#waiting.filter((one) => !members.includes(one))
      const milliseconds = await this.#together(members)
      if (alone) this.#regret += milliseconds / 2
      if (chosen.length > 1) this.#leisure = 0
      else if (this.#parts.facts.merged) this.#leisure += milliseconds * loneExcess
    }
    this.#running = undefined // in the same breath as the last look, or a pass that comes between would wait for ever
  }

  /** Whether the plain graph is worth its making again: one sequence has run alone for so long. */
  #pausesMerging(): boolean {
    const { rebuild, price = 0 } = this.#parts
    return rebuild !== undefined && !this.#staysMerged && this.#leisure > price
  }

  /** Whether a session that merges passes is worth its making. */
  #pays(): boolean {
    const { rebuild, price = 0 } = this.#parts
    return rebuild !== undefined && this.#regret >= price
  }

  /** A merged pass that fails is run again member by member, so that only the cause of the failure fails. */
  async #together(members: readonly Waiting[]): Promise<number> {
    const begin = performance.now()
    const rans = await this.#run(members).catch((thrown: unknown) => {
      if (members.length === 1) members[0]!.failed(thrown)
    })
    if (rans) for (const [i, ran] of rans.entries()) members[i]!.done(ran)
    else if (members.length > 1) for (const one of members) await this.#together([one])
    return performance.now() - begin
  }

  async #run(members: readonly Waiting[]): Promise<Ran[]> {
    const requests = members.map(({ request }) => request)
    await this.#prepare(requests)
    const begin = performance.now()
    const feeds = this.#fill(requests)
    const out = await this.#parts.session.run(feeds, fetchesOf(requests))
    const rows = requests.reduce((sum, request) => sum + request.rows, 0)
    const whole = {
      layers: requests[0]!.layers[1] - requests[0]!.layers[0],
      members: requests.length,
      bytes: Object.values(out).reduce((sum, tensor) => sum + tensor.data.byteLength, 0),
      milliseconds: performance.now() - begin,
    }
    const logitRows = requests.reduce((sum, request) => sum + request.logitRows.length, 0)
    this.ledger.record({ ...whole, rows, logitRows })
    for (const { request, ledger } of members) {
      const share = request.rows / rows
      const [bytes, milliseconds] = [whole.bytes * share, whole.milliseconds * share]
      ledger?.record({ ...whole, rows: request.rows, logitRows: request.logitRows.length, bytes, milliseconds })
    }
    return resultsOf(requests, out, this.config)
  }

  /** A session with the powers that these passes need. */
  async #prepare(requests: readonly Resolved[]): Promise<void> {
    if (this.#lost) await this.#use({ steerable: false, merged: false })
    const { steerable, merged } = this.#parts.facts
    const powers = {
      steerable: steerable || requests.some(({ layers }) => layers[0] !== 0 || layers[1] !== this.config.layers),
      merged: requests.length > 1 || (merged && !this.#pausesMerging()),
    }
    if (powers.steerable === steerable && powers.merged === merged) return
    if (!this.#parts.rebuild)
      throw new ForerunError("E_ABILITY", "this model was loaded without layer spans and free masks")
    this.#lost = true
    await this.#parts.session.release() // never two copies of the weights
    try {
      await this.#use(powers)
    } catch (thrown) {
      await this.#use({ steerable: false, merged: false }).catch(() => {}) // tried again by the next pass
      const { code, message, hint } = asForerunError(thrown, "E_RUNTIME")
      throw new ForerunError(code, `layer spans and free masks could not be made ready: ${message}`, {
        cause: thrown,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }

  async #use(powers: GraphPowers): Promise<void> {
    const { facts, session } = await this.#parts.rebuild!(powers)
    this.#parts = { ...this.#parts, facts, session }
    this.#fill = this.#filler()
    this.ledger.forgetTimes()
    this.#regret = 0
    this.#leisure = 0
    this.#lost = false
  }

  #filler(): (requests: readonly Resolved[]) => Feeds {
    const { facts, session } = this.#parts
    const common = (requests: readonly Resolved[]) => {
      let first = 0
      const rowsOf = ({ rows, logitRows }: Resolved) => {
        first += rows
        return logitRows.map((row) => first - rows + row)
      }
      const positions = joined(requests, ({ positions }) => positions, Int32Array)
      return {
        x: joined(requests, (request) => this.#inputOf(request), Float32Array),
        positions,
        layers: requests[0]!.layers,
        logitRows: requests.flatMap(rowsOf),
        top: Math.max(...requests.map(({ logitRows, top }) => (logitRows.length > 0 ? top : 0))),
        wantHidden: requests.some(wantsInner),
      }
    }
    if (facts.merged) {
      const fill = createMergedFeeder(facts, session)
      return (requests) => fill({ ...common(requests), members: requests, arena: this.arena })
    }
    const fill = createFeeder(facts, session)
    return (requests) => {
      const [{ mask, cache }] = requests as readonly [Resolved]
      const { moves } = this.arena
      const begin = performance.now()
      const feeds = fill({ ...common(requests), mask, cache })
      // A merging graph reads pages wherever they lie.
      if (this.arena.moves > moves) this.#regret += performance.now() - begin
      return feeds
    }
  }

  #inputOf({ input, values, positions }: Resolved): Float32Array {
    return "tokens" in input ? this.#parts.embed(input.tokens, positions) : values!
  }
}

/** What the merging graph takes longer for one sequence, as a share of its time; rather too little. */
const loneExcess = 1 / 8

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** One array of all parts; a single part as it is. */
function joined<T extends Float32Array | Int32Array>(
  requests: readonly Resolved[],
  part: (request: Resolved) => T,
  make: new (length: number) => T,
): T {
  return requests.length === 1 ? part(requests[0]!) : concatenate<never>(requests.map(part) as never[], make as never)
}

/** Checks a pass again whose cache has changed since; one that can no longer run fails. */
function isSound(waiting: Waiting): boolean {
  const { cache, layers, past } = waiting.request
  if (!cache.disposed && (cache.lengths[Math.min(layers[0], cache.lengths.length - 1)] ?? 0) === past) return true
  try {
    waiting.request = waiting.again()
    return true
  } catch (thrown) {
    waiting.failed(thrown)
    return false
  }
}
