/** The training loop: steps, validations, checkpoints, an early end, and the results on disk. */
import { join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { writeWhole } from "../models/files/write-safetensors.ts"
import { writeModel } from "../models/trained-model.ts"
import { type PartRecord, type TensorToSave, type TrainingRecord, writePart } from "../models/trained-part.ts"
import { createRandom, type Random } from "../tensor/random.ts"
import {
  hasCheckpoint,
  loadCheckpoint,
  requireSameSettings,
  type Saved,
  type Standing,
  saveCheckpoint,
} from "./checkpoint.ts"
import { createSampler } from "./dataset.ts"
import { lossCurve } from "./loss-curve.ts"
import type { Batch, Data, Hyperparameters, ModelTraining, Recipe, Training } from "./recipe.ts"
import { stateName } from "./step-graph.ts"
import { initialState, type State, StepRunner } from "./step-runner.ts"

export type TrainRequest = TrainSettings & (PartRequest | ModelRequest)

interface PartRequest {
  readonly training: Training
  readonly target: PartRecord["target"]
}

interface ModelRequest {
  readonly training: ModelTraining
  readonly target?: undefined
}

interface TrainSettings {
  readonly recipe: Pick<Recipe, "method" | "metric">
  readonly hyper: Hyperparameters
  /** The recipe's options and whatever else must not change when a run goes on. */
  readonly options: Readonly<Record<string, unknown>>
  readonly folder: string
  readonly seed: number
  readonly threads: number
  /** Go on from the folder's checkpoint, when there is one. */
  readonly resume?: boolean
  /** Seconds between checkpoints; default 60. */
  readonly checkpointEvery?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: TrainProgress) => void
}

export interface TrainProgress {
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly tokensPerSecond: number
  readonly secondsLeft: number
  /** The latest validation's metric. */
  readonly metric?: number
}

export interface TrainResult {
  readonly method: string
  readonly steps: number
  readonly loss: { readonly first: number; readonly last: number }
  readonly metric: { readonly name: string; readonly value: number }
  readonly seconds: number
  readonly weights: { readonly file: string; readonly sha256: string }
  /** early: the metric stopped getting better; abort: the caller's signal, after a checkpoint. */
  readonly end: "done" | "early" | "abort"
}

/** The first and the last loss of a result are means over this many steps (a quarter, if fewer): one is mostly noise. */
const averaged = 10

/** @throws E_OPTION when the checkpoint has other settings; E_RUNTIME when the loss is no number */
export async function train(request: TrainRequest): Promise<TrainResult> {
  const run = new Run(request)
  try {
    return await run.toEnd()
  } finally {
    await run.release()
  }
}

class Run {
  #request: TrainRequest
  #runner: StepRunner
  #random: Random
  #sample: (pass: number) => readonly number[]
  #standing: Standing
  #best: State | undefined
  #begin = performance.now()
  #before: number

  constructor(request: TrainRequest) {
    const { training, hyper, seed, folder, threads, options, target, recipe } = request
    this.#request = request
    this.#random = createRandom(seed)
    const settings = { method: recipe.method, ...(target ? { target: target.sha256 } : {}), ...options, ...hyper }
    const saved = request.resume && hasCheckpoint(folder) ? loadCheckpoint(folder, training.parameters) : undefined
    if (saved) requireSameSettings(saved.standing, settings, seed)
    this.#standing = saved?.standing ?? { step: 0, seed, settings, losses: [], validations: [], misses: 0, seconds: 0 }
    this.#best = saved?.best
    this.#before = this.#standing.seconds
    const state = saved?.state ?? initialState(training.parameters, this.#random.fork("start"))
    this.#runner = new StepRunner(training, hyper, { state, threads })
    this.#sample = createSampler(training.data.samples, hyper.batch, this.#random.fork("order"))
  }

  async toEnd(): Promise<TrainResult> {
    const { hyper, signal, checkpointEvery = 60 } = this.#request
    const speed = new Speed()
    let savedAt = performance.now()
    while (this.#standing.step < hyper.steps && !this.#isEarly()) {
      if (signal?.aborted) return this.#finish("abort")
      const batches = this.#batches(this.#standing.step)
      speed.start()
      const loss = await this.#step(batches)
      speed.stop(batches.reduce((sum, { tokens }) => sum + tokens, 0))
      const { validation } = this.#request.training
      if (validation && this.#isDue()) await this.#validate(validation)
      this.#tell(loss, speed)
      if (performance.now() - savedAt > checkpointEvery * 1000) {
        await this.#save()
        savedAt = performance.now()
      }
    }
    return this.#finish(this.#isEarly() ? "early" : "done")
  }

  release(): Promise<void> {
    return this.#runner.release()
  }

  #batches(step: number): Batch[] {
    const { training, hyper } = this.#request
    return Array.from({ length: hyper.accumulate }, (_, i) => {
      const pass = step * hyper.accumulate + i
      return training.data.batch(this.#sample(pass), this.#random.fork("pass").fork(pass), step / hyper.steps)
    })
  }

  async #step(batches: readonly Batch[]): Promise<number> {
    const { step, losses } = this.#standing
    const { values, gradientNorm } = await this.#runner.step(batches, step)
    const loss = values.loss!
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
      throw new ForerunError("E_RUNTIME", `step ${step + 1}: the loss is ${loss}, its gradient ${gradientNorm} long`, {
        hint: "a lower learning rate, or a longer warm-up",
      })
    this.#standing = { ...this.#standing, step: step + 1, losses: [...losses, loss], seconds: this.#seconds() }
    return loss
  }

  #seconds(): number {
    return this.#before + (performance.now() - this.#begin) / 1000
  }

  #isDue(): boolean {
    const { step } = this.#standing
    const { hyper } = this.#request
    return step % hyper.validateEvery === 0 || step === hyper.steps
  }

  #isEarly(): boolean {
    const { patience } = this.#request.hyper
    return patience > 0 && this.#standing.misses >= patience
  }

  async #validate(data: Data): Promise<void> {
    const { step, validations, best, misses } = this.#standing
    const metrics = await this.#measure(data)
    const value = metrics[this.#request.recipe.metric.name]!
    const isBetter = best === undefined || better(this.#request.recipe, value, best.value)
    this.#standing = {
      ...this.#standing,
      validations: [...validations, { step, value }],
      ...(isBetter ? { best: { step, value, metrics }, misses: 0 } : { misses: misses + 1 }),
    }
    if (isBetter) this.#best = this.#runner.state
  }

  /** Means over all validation samples, in their order; a rest smaller than a batch is left out. */
  async #measure(validation: Data): Promise<Readonly<Record<string, number>>> {
    const { hyper, recipe } = this.#request
    const { name } = recipe.metric
    const size = Math.min(hyper.batch, validation.samples)
    const reports: Readonly<Record<string, number>>[] = []
    for (let from = 0; from + size <= validation.samples; from += size) {
      const indices = Array.from({ length: size }, (_, i) => from + i)
      const batch = validation.batch(indices, this.#random.fork("validation").fork(from))
      reports.push(await this.#runner.evaluate(batch))
    }
    if (reports.some((report) => report[name] === undefined))
      throw new ForerunError("E_INTERNAL", `${recipe.method}: its loss reports no ${name}`)
    const names = Object.keys(reports[0] ?? { [name]: Number.NaN })
    return Object.fromEntries(names.map((one) => [one, averageOf(reports.map((report) => report[one]!))]))
  }

  #recentLoss(): number {
    return averageOf(this.#standing.losses.slice(-averaged))
  }

  #tell(loss: number, speed: Speed): void {
    const { onProgress, hyper } = this.#request
    const { step, validations } = this.#standing
    const metric = validations.at(-1)?.value
    onProgress?.({
      step,
      steps: hyper.steps,
      loss,
      tokensPerSecond: speed.tokensPerSecond,
      secondsLeft: speed.secondsPerStep * (hyper.steps - step),
      ...(metric === undefined ? {} : { metric }),
    })
  }

  async #save(): Promise<void> {
    const { folder, training } = this.#request
    const saved: Saved = {
      standing: this.#standing,
      state: this.#runner.state,
      ...(this.#best ? { best: this.#best } : {}),
    }
    await saveCheckpoint(folder, training.parameters, saved)
  }

  /** Checkpoint, curve, and the weights of the best validation (of the last step where there was none). */
  async #finish(end: TrainResult["end"]): Promise<TrainResult> {
    const { recipe, training, folder, target, options, hyper } = this.#request
    const { step, losses, validations, best, seconds, seed } = this.#standing
    await this.#save()
    const curve = lossCurve({ losses, validations, metric: recipe.metric.name })
    await writeWhole(join(folder, "loss.svg"), [Buffer.from(curve)])
    const { name } = recipe.metric
    // Without validation data, or interrupted before it was first used, the loss is all that is known.
    const { validation } = training
    const measured = best?.metrics ?? (validation && end !== "abort" ? await this.#measure(validation) : undefined)
    const metric = measured ? { name, value: measured[name]! } : { name: "loss", value: this.#recentLoss() }
    const values = new Map(
      training.parameters.map(({ name }) => [
        name,
        (this.#best ?? this.#runner.state).get(stateName("parameter", name))!,
      ]),
    )
    const tensors =
      (await training.finish?.(values)) ??
      training.parameters.map(({ name, shape }) => ({ name, shape, values: values.get(name)! }))
    const span = Math.max(1, Math.min(averaged, losses.length >> 2))
    const loss = { first: averageOf(losses.slice(0, span)), last: averageOf(losses.slice(-span)) }
    const record = {
      method: recipe.method,
      recipe: { ...options, ...hyper, seed, stepsDone: step },
      metrics: { ...measured, firstLoss: loss.first, lastLoss: loss.last },
    }
    const weights = await this.#write(tensors, record)
    if (target) await training.written?.(values, { folder, record: { ...record, target } })
    return { method: recipe.method, steps: step, loss, metric, seconds, weights, end }
  }

  #write(tensors: readonly TensorToSave[], record: Omit<TrainingRecord, "weights">) {
    const { folder, target, training } = this.#request
    if (target) return writePart(folder, tensors, { ...record, target })
    return writeModel(folder, { tensors, record }, training.files)
  }
}

const better = ({ metric }: Pick<Recipe, "metric">, value: number, than: number): boolean =>
  metric.better === "lower" ? value < than : value > than

const averageOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Running means over about the last 20 steps; the first, which builds the session, counts until the second is done. */
class Speed {
  tokensPerSecond = 0
  secondsPerStep = 0
  #from = 0
  #steps = 0

  start(): void {
    this.#from = performance.now()
  }

  stop(tokens: number): void {
    const seconds = Math.max(1e-9, (performance.now() - this.#from) / 1000)
    const share = 1 / Math.min(20, Math.max(1, this.#steps++))
    this.secondsPerStep += (seconds - this.secondsPerStep) * share
    this.tokensPerSecond = tokens / this.secondsPerStep
  }
}
