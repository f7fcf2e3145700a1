/** forerun train: runs a recipe, against a target or to make a tiny model. */
import { availableParallelism } from "node:os"
import { join, resolve } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import { loadRecipe } from "../../methods/recipes.ts"
import { type Checkpoint, openCheckpoint } from "../../models/files/checkpoint.ts"
import { contentHash } from "../../runtime/load-runner.ts"
import { findModel } from "../../store/find.ts"
import { createRandom } from "../../tensor/random.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import { type Plan, planTraining } from "../../train/plan.ts"
import type { ModelContext, Recipe } from "../../train/recipe.ts"
import { resolveSettings } from "../../train/settings.ts"
import { train as runTraining, type TrainRequest, type TrainResult } from "../../train/trainer.ts"
import type { ModelFlags } from "../flags.ts"
import { catchInterrupt } from "../interrupt.ts"
import { type Output, rounded, usageError } from "../output.ts"
import { createProgress } from "../progress.ts"
import { formatBytes, formatSeconds } from "../terminal.ts"
import { createTrainDisplay } from "../train-progress.ts"

export interface TrainFlags extends ModelFlags {
  readonly out?: string
  readonly plan?: boolean
  readonly resume?: boolean
  readonly data?: readonly string[]
  readonly option?: Readonly<Record<string, string>>
  readonly seed?: number
  readonly threads?: number
}

export async function train([method]: readonly string[], flags: TrainFlags, output: Output): Promise<number> {
  return trainRecipe(await loadRecipe(method!), flags, output)
}

/** @returns the exit code; 130 after Ctrl-C, which leaves a checkpoint to go on from */
export async function trainRecipe(recipe: Recipe, flags: TrainFlags, output: Output): Promise<number> {
  const { out: folder, seed = 1, threads = Math.min(8, availableParallelism()), resume = false } = flags
  if (folder === undefined) throw usageError("give a folder for the results: --out <dir>")
  const settings = resolveSettings(recipe, flags.option ?? {})
  const interrupt = catchInterrupt()
  const { signal } = interrupt
  const context: ModelContext = {
    options: settings.options,
    data: (flags.data ?? []).map((path) => resolve(path)),
    folder: join(folder, "data"),
    random: createRandom(seed).fork("data"),
    threads,
    signal,
    note: (text) => output.note(text),
  }
  const common = { recipe, ...settings, folder, seed, threads, resume, signal }
  const start = (request: TrainRequest) => (flags.plan ? plan(request, output) : run(request, output))
  try {
    if (recipe.makes === "model") {
      if (flags.model !== undefined) throw usageError(`${recipe.method} makes a model of its own: leave --model out`)
      return await start({ ...common, training: await recipe.prepare(context) })
    }
    const checkpoint = await openTarget(flags)
    try {
      if (!checkpoint.tokenizer)
        throw new ForerunError("E_TOKENIZER", `${checkpoint.path}: the model brings no tokenizer`)
      const tokenizer = createTokenizer(checkpoint.tokenizer)
      const training = await recipe.prepare({ ...context, target: checkpoint, tokenizer })
      const { name } = checkpoint
      const target = { sha256: await contentHash(checkpoint), ...(name === undefined ? {} : { name }) }
      return await start({ ...common, training, target })
    } finally {
      checkpoint.close()
    }
  } finally {
    interrupt.release()
  }
}

async function openTarget({ model, offline }: TrainFlags): Promise<Checkpoint> {
  const progress = createProgress()
  try {
    const { path } = await findModel(model, {
      offline,
      onProgress: ({ file, received, total }) =>
        progress.update({ stage: "downloading", file, received, ...(total === undefined ? {} : { total }) }),
    })
    return openCheckpoint(path)
  } finally {
    progress.stop()
  }
}

async function plan(request: TrainRequest, output: Output): Promise<number> {
  const result = await planTraining(request)
  if (output.json) output.object({ plan: { ...result, options: request.options, hyperparameters: request.hyper } })
  else output.text(`${describePlan(result)}\n`)
  return 0
}

function describePlan({ time, memory, ...plan }: Plan): string {
  const hours = time.seconds / 3600
  const rows = [
    ["method", plan.method],
    ["trained", `${(plan.parameters / 1e6).toFixed(2)} M parameters`],
    ["samples", `${plan.samples}, and ${plan.validationSamples} for validation`],
    ["steps", `${plan.steps} of ${plan.tokensPerStep} tokens, ${plan.epochs.toFixed(1)} epochs`],
    ["a step", `${formatSeconds(time.secondsPerStep * 1000)}, ${time.gigaflopPerStep.toFixed(1)} GFLOP`],
    ["in all", hours < 1 ? `about ${Math.ceil(hours * 60)} min` : `about ${hours.toFixed(1)} h`],
    [
      "memory",
      `${formatBytes(memory.frozenBytes)} frozen weights, ${formatBytes(memory.stateBytes)} parameters and state,`,
    ],
    ["", `${formatBytes(memory.valueBytes)} values of a pass at their peak`],
    ["expected", plan.expected],
  ]
  return rows.map(([label, value]) => `${label!.padEnd(10)}${value}`).join("\n")
}

async function run(request: TrainRequest, output: Output): Promise<number> {
  const display = createTrainDisplay()
  let result: TrainResult
  try {
    result = await runTraining({ ...request, onProgress: display.update })
  } finally {
    display.stop()
  }
  const { end, seconds, ...told } = result
  if (output.json) output.object({ ...told, seconds: rounded(seconds), end })
  else output.text(`${describeResult(result)}\n`)
  return end === "abort" ? 130 : 0
}

function describeResult({ steps, loss, metric, seconds, weights, end }: TrainResult): string {
  const why = { done: "", early: " (no more progress)", abort: " (interrupted; go on with --resume)" }[end]
  return [
    `${steps} steps in ${formatSeconds(seconds * 1000)}${why}`,
    `loss ${loss.first.toFixed(4)} → ${loss.last.toFixed(4)}, ${metric.name} ${metric.value.toFixed(4)}`,
    `weights ${weights.file}`,
  ].join("\n")
}
