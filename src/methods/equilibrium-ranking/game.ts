/** The consensus game in float64: two players, likelihoods in, policies out. No model, no randomness. */
import { ForerunError } from "../../base/errors.ts"

/** Index into pairs: what the answer is claimed to be. */
export const correct = 0
export const incorrect = 1

/** Natural logarithms of what the model gave; candidates y from 0 to n - 1, n at least 1. */
export interface LogLikelihoods {
  /** ln P(y | question, correct or incorrect): [2][n] */
  readonly generator: readonly (readonly number[])[]
  /** ln P(correct or incorrect | question, y): [n][2] */
  readonly discriminator: readonly (readonly number[])[]
}

export interface Policies {
  /** π_G(y | correct or incorrect), each row sums to 1: [2][n] */
  readonly generator: readonly (readonly number[])[]
  /** π_D(correct or incorrect | y), each row sums to 1: [n][2] */
  readonly discriminator: readonly (readonly number[])[]
}

export interface GameOptions {
  /** Price of leaving the initial policy: λ_G and λ_D. */
  readonly lambdaG: number
  readonly lambdaD: number
  /** Learning rates η_G and η_D. */
  readonly etaG: number
  readonly etaD: number
  /** Updates to make (pikl), or at most (fixed-point). */
  readonly iterations: number
  /** cross: normalise over the other variable first (§1.3 of the method's README); rows: do not. */
  readonly initial: "cross" | "rows"
  readonly solver: "pikl" | "fixed-point"
}

export interface Equilibrium {
  readonly initial: Policies
  readonly final: Policies
  /** Largest distance of a probability from what the fixed-point equations give for it: 0 at an equilibrium. */
  readonly residual: number
  /** Probability that the discriminator names what the generator was told, before and after. */
  readonly utility: { readonly initial: number; readonly final: number }
  /** π after the updates that were asked for, by their number. */
  readonly trace: ReadonlyMap<number, Policies>
}

/** Smaller probabilities count as this, so that every logarithm is finite. */
const floor = 1e-12

/** Probabilities as log-likelihoods, for those that have them as such: zeros become the floor. */
export function fromProbabilities(generator: number[][], discriminator: number[][]): LogLikelihoods {
  const logs = (rows: number[][]) => rows.map((row) => row.map((p) => Math.log(Math.max(p, floor))))
  return { generator: logs(generator), discriminator: logs(discriminator) }
}

export function initialPolicies(table: LogLikelihoods, initial: GameOptions["initial"]): Policies {
  checkTable(table)
  const { generator, discriminator } = table
  if (initial === "rows") return { generator: generator.map(softmax), discriminator: discriminator.map(softmax) }
  // ln of each entry's share of its column, then rows are made distributions.
  const claims = [correct, incorrect]
  const columnG = generator[0]!.map((_, y) => logSum(claims.map((v) => generator[v]![y]!)))
  const columnD = claims.map((v) => logSum(discriminator.map((row) => row[v]!)))
  return {
    generator: generator.map((row) => softmax(row.map((log, y) => log - columnG[y]!))),
    discriminator: discriminator.map((row) => softmax(row.map((log, v) => log - columnD[v]!))),
  }
}

/** @param snapshots numbers of updates after which the policies are wanted in `trace` */
export function playGame(table: LogLikelihoods, options: GameOptions, snapshots: readonly number[] = []): Equilibrium {
  checkOptions(options)
  const initial = initialPolicies(table, options.initial)
  const wanted = new Set(snapshots)
  const trace = new Map<number, Policies>()
  const solve = options.solver === "pikl" ? regularisedRegret : dampedIteration
  let final = initial
  let updates = 0
  const policies = solve(initial, options)
  for (;;) {
    if (wanted.has(updates)) trace.set(updates, final)
    if (updates === options.iterations) break
    const next = policies.next()
    if (next.done) break
    final = next.value
    updates++
  }
  return {
    initial,
    final,
    residual: distance(final, bestAnswer(final, initial, options)),
    utility: { initial: jointUtility(initial), final: jointUtility(final) },
    trace,
  }
}

/**
 * piKL: each answers the average of the other's past policies, held back by λ and η; the last iterate counts. The ½ in
 * Q is the prior on correct and incorrect.
 */
function* regularisedRegret(initial: Policies, options: GameOptions): Generator<Policies, void> {
  const { lambdaG, lambdaD, etaG, etaD } = options
  const sumG = initial.generator.map((row) => row.map(() => 0))
  const sumD = initial.discriminator.map((row) => row.map(() => 0))
  let policies = initial
  for (let t = 1; ; t++) {
    addTo(sumG, policies.generator)
    addTo(sumD, policies.discriminator)
    const answer = (q: (a: number, b: number) => number, prior: Rows, lambda: number, eta: number): number[][] =>
      prior.map((row, a) =>
        softmax(row.map((p, b) => (q(a, b) / (2 * t) + lambda * safeLog(p)) / (1 / (eta * t) + lambda))),
      )
    policies = {
      generator: answer((v, y) => sumD[y]![v]!, initial.generator, lambdaG, etaG),
      discriminator: answer((y, v) => sumG[v]![y]!, initial.discriminator, lambdaD, etaD),
    }
    yield policies
  }
}

/** Half a step towards the fixed-point equations at a time, until nothing moves. */
function* dampedIteration(initial: Policies, options: GameOptions): Generator<Policies, void> {
  let policies = initial
  for (;;) {
    const answer = bestAnswer(policies, initial, options)
    if (distance(policies, answer) < 1e-14) return
    const half = (a: Rows, b: Rows) => a.map((row, i) => row.map((p, j) => (p + b[i]![j]!) / 2))
    policies = {
      generator: half(policies.generator, answer.generator),
      discriminator: half(policies.discriminator, answer.discriminator),
    }
    yield policies
  }
}

/** π_G ∝ π_G¹ · exp(π_D / 2λ_G), π_D ∝ π_D¹ · exp(π_G / 2λ_D). */
function bestAnswer(policies: Policies, initial: Policies, { lambdaG, lambdaD }: GameOptions): Policies {
  const { generator, discriminator } = policies
  return {
    generator: initial.generator.map((row, v) =>
      softmax(row.map((p, y) => safeLog(p) + discriminator[y]![v]! / (2 * lambdaG))),
    ),
    discriminator: initial.discriminator.map((row, y) =>
      softmax(row.map((p, v) => safeLog(p) + generator[v]![y]! / (2 * lambdaD))),
    ),
  }
}

/** Σ over claims of ½ Σ over candidates of π_G(y | v) · π_D(v | y). */
export function jointUtility({ generator, discriminator }: Policies): number {
  let sum = 0
  for (const v of [correct, incorrect])
    for (const [y, p] of generator[v]!.entries()) sum += (p * discriminator[y]![v]!) / 2
  return sum
}

type Rows = readonly (readonly number[])[]

const safeLog = (p: number): number => Math.log(Math.max(p, floor))

function addTo(sum: number[][], rows: Rows): void {
  for (const [i, row] of rows.entries()) for (const [j, value] of row.entries()) sum[i]![j]! += value
}

function distance(a: Policies, b: Policies): number {
  let worst = 0
  for (const side of ["generator", "discriminator"] as const)
    for (const [i, row] of a[side].entries())
      for (const [j, p] of row.entries()) worst = Math.max(worst, Math.abs(p - b[side][i]![j]!))
  return worst
}

function logSum(logs: readonly number[]): number {
  const max = Math.max(...logs)
  return max + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - max), 0))
}

export function softmax(logs: readonly number[]): number[] {
  const normaliser = logSum(logs)
  return logs.map((log) => Math.exp(log - normaliser))
}

function checkTable({ generator, discriminator }: LogLikelihoods): void {
  const n = discriminator.length
  const rows = [...generator, ...discriminator]
  const fits = n > 0 && generator.length === 2 && generator.every((row) => row.length === n)
  if (!fits || !discriminator.every((row) => row.length === 2) || !rows.flat().every(Number.isFinite))
    throw new ForerunError("E_INPUT", "a game needs 2 × n and n × 2 finite log-likelihoods, n at least 1")
}

function checkOptions(options: GameOptions): void {
  for (const name of ["lambdaG", "lambdaD", "etaG", "etaD"] as const)
    if (!(options[name] > 0 && options[name] < Number.POSITIVE_INFINITY))
      throw new ForerunError("E_OPTION", `${name} must be a positive number; found ${options[name]}`)
  const { iterations } = options
  if (!Number.isInteger(iterations) || iterations < 0)
    throw new ForerunError("E_OPTION", `iterations must be a whole number of at least 0; found ${iterations}`)
}
