/** Recipe `specdec-plus-plus`: the head that judges a draft model's tokens. */
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import { hasSmallModel, openSmallModel, vocabularyName } from "../../decoding/drafters/small-model.ts"
import { createEmbed } from "../../models/embedding.ts"
import { openCheckpoint } from "../../models/files/checkpoint.ts"
import { openPartFolder, recordFile, type TensorToSave } from "../../models/trained-part.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { contentHash, loadRunner } from "../../runtime/load-runner.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import type { Random } from "../../tensor/random.ts"
import { compareVocabularies } from "../../text/compare-vocabularies.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import type { Answer } from "../../train/answers.ts"
import { shuffled } from "../../train/dataset.ts"
import { commonHyperparameters, type Recipe, type RecipeContext, type Training } from "../../train/recipe.ts"
import type { HeadShape } from "./head-loss.ts"
import { type HeadRow, headRows, type Judged, judge, type LabelSettings } from "./labels.ts"
import { answersFrom } from "./train-answers.ts"
import { headTraining } from "./train-head.ts"

export const headRecipe: Recipe = {
  method: "specdec-plus-plus",
  summary: "A head on a draft model's hidden states that says how likely the target takes a drafted token.",
  options: {
    draft: {
      type: "string",
      default: "",
      description: "the draft model: a folder that the recipe draft-lm wrote, or a model's path",
    },
    depth: { type: "integer", default: 3, low: 0, high: 16, description: "blocks of the head; 0 = a linear probe" },
    tied: { type: "boolean", default: true, description: "one block, applied `depth` times, as in the official code" },
    rejectWeight: { type: "number", default: 6, low: 0.01, high: 1000, description: "how much more refusals weigh" },
    kept: { type: "number", default: 0.15, low: 0, high: 1, description: "share of tokens that are not drafts" },
    row: {
      type: "string",
      default: "reads",
      choices: headRows,
      description: "which row judges a token: the one that reads it, as in the paper, or the one that drafts it",
    },
    drafts: {
      type: "string",
      default: "likeliest",
      choices: ["likeliest", "sampled"],
      description: "how drafts will be chosen when it serves, and so judged",
    },
    temperature: { type: "number", default: 0, low: 0, high: 2, description: "at which it will serve; 0 = greedy" },
    tokens: {
      type: "integer",
      default: 60_000,
      low: 1,
      high: 100_000_000,
      description: "answer tokens that are judged, at most",
    },
  },
  defaults: {
    ...commonHyperparameters,
    steps: 600,
    batch: 512,
    learningRate: 1e-3,
    validateEvery: 50,
    warmUp: 20,
  },
  metric: { name: "loss", better: "lower", expected: "0.3 to 0.6; the divergence of the README beside it" },
  prepare: prepareHead,
}

async function prepareHead(context: RecipeContext): Promise<Training> {
  const { target, options, random, threads } = context
  const { training, validation } = answersFrom(context)
  const draft = await openDraft(String(options.draft), context)
  const runner = await loadRunner(target, { weights: "q8", threads, device: "cpu" })
  try {
    const settings: LabelSettings = {
      target: runner,
      draft: draft.runner,
      drafts: options.drafts as LabelSettings["drafts"],
      temperature: Number(options.temperature),
      row: options.row as HeadRow,
      kept: Number(options.kept),
    }
    const tokens = Number(options.tokens)
    const learned = await judgeAll(training, tokens, { settings, context, random: random.fork("training") })
    const held = await judgeAll(validation, tokens, { settings, context, random: random.fork("validation") })
    const { hidden: width } = draft.runner.config
    const shape: HeadShape = { width, depth: Number(options.depth), tied: options.tied === true }
    const head = headTraining({ learned, held, shape, rejectWeight: Number(options.rejectWeight) })
    return { ...head, finish: (values) => [...head.finish(values), ...draft.tensors] }
  } finally {
    await runner.dispose()
    await draft.dispose()
  }
}

interface OpenDraft {
  readonly runner: ModelRunner
  /** What of it belongs in the part: a small model goes with its head. */
  readonly tensors: readonly TensorToSave[]
  dispose(): Promise<void>
}

async function openDraft(given: string, { target, threads, tokenizer }: RecipeContext): Promise<OpenDraft> {
  if (given === "")
    throw new ForerunError("E_OPTION", "give the draft model: --option draft=<folder or model>", {
      hint: "forerun train draft-lm makes a small one",
    })
  const path = resolve(given)
  if (existsSync(join(path, recordFile))) {
    const { record, tensors } = await openPartFolder(path)
    if (!hasSmallModel({ tensors }) || record.target.sha256 !== (await contentHash(target)))
      throw new ForerunError("E_DRAFT", `${path} holds no draft model for ${target.path}`)
    const { config } = target
    const opened = await openSmallModel({
      tensors,
      target: { config, embed: createEmbed(config, target.weights) },
      openGraph: (graph) => openGraph(graph, { threads }),
    })
    const saved = [...tensors].map(([name, tensor]) => ({
      name,
      ...tensor,
      ...(name === vocabularyName ? { type: "F32" as const } : {}),
    }))
    return { ...opened, tensors: saved.filter(({ name }) => !name.startsWith("head.")) }
  }
  const checkpoint = openCheckpoint(path)
  try {
    if (!checkpoint.tokenizer) throw new ForerunError("E_TOKENIZER", `${path}: the model brings no tokenizer`)
    const { firstDifference } = compareVocabularies(tokenizer, createTokenizer(checkpoint.tokenizer))
    if (firstDifference !== undefined)
      throw new ForerunError("E_DRAFT", `${path} cannot draft for ${target.path}: token ${firstDifference} differs`)
    const runner = await loadRunner(checkpoint, { weights: "q8", threads, device: "cpu" })
    const dispose = async () => {
      await runner.dispose()
      checkpoint.close()
    }
    return { runner, tensors: [], dispose }
  } catch (thrown) {
    checkpoint.close()
    throw thrown
  }
}

interface Judging {
  readonly settings: LabelSettings
  readonly context: Pick<RecipeContext, "signal" | "note">
  readonly random: Random
}

/** The first answers in random order, until there are tokens enough. */
async function judgeAll(answers: readonly Answer[], tokens: number, judging: Judging): Promise<Judged> {
  const { settings, context, random } = judging
  const longest = Math.min(settings.target.config.context, settings.draft.config.context)
  const order = shuffled(answers.length, random.fork("order"))
  const parts: Judged[] = []
  let count = 0
  for (const index of order) {
    const answer = answers[index]!
    if (count >= tokens || context.signal.aborted) break
    if (answer.prompt.length + answer.answer.length > longest || answer.answer.length === 0) continue
    parts.push(await judge(answer, settings, random.fork(answer.id)))
    count += answer.answer.length
    if (parts.length % 100 === 0) context.note(`${count} tokens judged`)
  }
  return {
    states: concatenate(
      parts.map(({ states }) => states),
      Float32Array,
    ),
    acceptance: concatenate(
      parts.map(({ acceptance }) => acceptance),
      Float32Array,
    ),
  }
}
