/** Runs steps: one session for each batch shape; parameters and optimiser state go out of one step and into the next. */
import { ForerunError } from "../base/errors.ts"
import { externalBuffer, type Graph, serialize } from "../graph/index.ts"
import type { HostTensor, Session } from "../runtime/session.ts"
import { createSession } from "../runtime/session-node.ts"
import type { Random } from "../tensor/random.ts"
import { scalarNames, stepScalars } from "./optimizer.ts"
import type { Batch, Hyperparameters, Parameter, Training } from "./recipe.ts"
import {
  accumulationGraph,
  batchName,
  evaluationGraph,
  metricName,
  reportedNames,
  type StateKind,
  shapeKey,
  stateKinds,
  stateName,
  stepGraph,
  updateGraph,
} from "./step-graph.ts"

/** Parameters and optimiser state by name ("parameter/x", "first/x", "second/x"). Never written to. */
export type State = ReadonlyMap<string, Float32Array>

export interface StepReport {
  readonly values: Readonly<Record<string, number>>
  /** Of the mean gradient, before clipping. */
  readonly gradientNorm: number
}

interface Compiled {
  readonly session: Session
  readonly reported: readonly string[]
}

type Feeds = Record<string, HostTensor>
const external = "weights.bin"

/** Start values, each from its parameter's own stream, and zeros. */
export function initialState(parameters: readonly Parameter[], random: Random): State {
  const state = new Map<string, Float32Array>()
  for (const { name, shape, initial } of parameters) {
    const size = shape.reduce((n, dim) => n * dim, 1)
    const values = initial(random.fork(name))
    if (values.length !== size)
      throw new ForerunError(
        "E_GRAPH",
        `parameter ${name}: [${shape.join(", ")}] needs ${size} values, got ${values.length}`,
      )
    state.set(stateName("parameter", name), values)
    state.set(stateName("first", name), new Float32Array(size))
    state.set(stateName("second", name), new Float32Array(size))
  }
  return state
}

export class StepRunner {
  #training: Training
  #hyper: Hyperparameters
  #threads: number
  #state: State
  #compiled = new Map<string, Promise<Compiled>>()

  constructor(training: Training, hyper: Hyperparameters, { state, threads }: { state: State; threads: number }) {
    this.#training = training
    this.#hyper = hyper
    this.#threads = threads
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  /** @param batches as many as a step accumulates */
  async step(batches: readonly Batch[], number: number): Promise<StepReport> {
    if (batches.length === 1) return this.#wholeStep(batches[0]!, number)
    let sums: State = new Map()
    const reports: Record<string, number>[] = []
    for (const batch of batches) {
      const pass = await this.#pass(batch, sums)
      sums = pass.sums
      reports.push(pass.values)
    }
    const { session } = await this.#get("update", () => updateGraph(this.#training, this.#hyper))
    const feeds = { ...this.#stateFeeds(session, stateKinds), ...this.#scalarFeeds(session, number) }
    for (const { name, shape } of this.#training.parameters) {
      const key = stateName("gradient", name)
      feeds[key] = session.tensor("float32", sums.get(key)!, shape)
    }
    const found = await session.run(feeds, [...this.#nextNames(stateKinds), "gradientNorm"])
    this.#take(found)
    const values = Object.fromEntries(
      Object.keys(reports[0]!).map((name) => [
        name,
        reports.reduce((sum, one) => sum + one[name]!, 0) / reports.length,
      ]),
    )
    return { values, gradientNorm: numberOf(found.gradientNorm!) }
  }

  /** Loss and metrics of a batch, with other parameters where given. */
  async evaluate(batch: Batch): Promise<Record<string, number>> {
    const { session, reported } = await this.#get(`evaluate ${shapeKey(batch)}`, () =>
      evaluationGraph(this.#training, batch),
    )
    const feeds = { ...this.#stateFeeds(session, ["parameter"]), ...batchFeeds(session, batch) }
    return reportOf(await session.run(feeds, reported.map(metricName)), reported)
  }

  async release(): Promise<void> {
    for (const compiled of this.#compiled.values()) await (await compiled).session.release()
    this.#compiled.clear()
  }

  async #wholeStep(batch: Batch, number: number): Promise<StepReport> {
    const { session, reported } = await this.#get(`step ${shapeKey(batch)}`, () =>
      stepGraph(this.#training, batch, this.#hyper),
    )
    const feeds = {
      ...this.#stateFeeds(session, stateKinds),
      ...this.#scalarFeeds(session, number),
      ...batchFeeds(session, batch),
    }
    const fetches = [...this.#nextNames(stateKinds), ...reported.map(metricName), "gradientNorm"]
    const found = await session.run(feeds, fetches)
    this.#take(found)
    return { values: reportOf(found, reported), gradientNorm: numberOf(found.gradientNorm!) }
  }

  async #pass(batch: Batch, sums: State): Promise<{ sums: State; values: Record<string, number> }> {
    const { session, reported } = await this.#get(`pass ${shapeKey(batch)}`, () =>
      accumulationGraph(this.#training, batch),
    )
    const feeds = { ...this.#stateFeeds(session, ["parameter"]), ...batchFeeds(session, batch) }
    const keys = this.#training.parameters.map(({ name }) => stateName("gradient", name))
    for (const [i, { shape }] of this.#training.parameters.entries()) {
      const size = shape.reduce((n, dim) => n * dim, 1)
      feeds[keys[i]!] = session.tensor("float32", sums.get(keys[i]!) ?? new Float32Array(size), shape)
    }
    const found = await session.run(feeds, [...keys.map((key) => `next/${key}`), ...reported.map(metricName)])
    const next = new Map(keys.map((key) => [key, found[`next/${key}`]!.data as Float32Array]))
    return { sums: next, values: reportOf(found, reported) }
  }

  #get(key: string, build: () => Graph): Promise<Compiled> {
    let compiled = this.#compiled.get(key)
    if (!compiled) {
      compiled = compile(build(), this.#threads)
      this.#compiled.set(key, compiled)
    }
    return compiled
  }

  #stateFeeds(session: Session, kinds: readonly StateKind[]): Feeds {
    const feeds: Feeds = {}
    for (const kind of kinds)
      for (const { name, shape } of this.#training.parameters) {
        const key = stateName(kind, name)
        feeds[key] = session.tensor("float32", this.#state.get(key)!, shape)
      }
    return feeds
  }

  #scalarFeeds(session: Session, number: number): Feeds {
    const scalars = stepScalars(this.#hyper, number)
    return Object.fromEntries(
      scalarNames.map((name) => [name, session.tensor("float32", Float32Array.of(scalars[name]), [])]),
    )
  }

  #nextNames(kinds: readonly StateKind[]): string[] {
    return kinds.flatMap((kind) => this.#training.parameters.map(({ name }) => `next/${stateName(kind, name)}`))
  }

  #take(found: Readonly<Record<string, HostTensor>>): void {
    const next = [...this.#state.keys()].map((key) => [key, found[`next/${key}`]!.data as Float32Array] as const)
    this.#state = new Map(next)
  }
}

async function compile(graph: Graph, threads: number): Promise<Compiled> {
  const written = serialize(graph, external)
  const source = { model: written.model, external: { path: external, data: externalBuffer(written) } }
  return { session: await createSession(source, { threads, device: "cpu" }), reported: reportedNames(graph) }
}

const batchFeeds = (session: Session, batch: Batch): Feeds =>
  Object.fromEntries(
    Object.entries(batch.tensors).map(([name, { type, data, shape }]) => [
      batchName(name),
      session.tensor(type, data, shape),
    ]),
  )

const numberOf = (tensor: HostTensor): number => Number(tensor.data[0])

const reportOf = (found: Readonly<Record<string, HostTensor>>, reported: readonly string[]): Record<string, number> =>
  Object.fromEntries(reported.map((name) => [name, numberOf(found[metricName(name)]!)]))
