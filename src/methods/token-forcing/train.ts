/** Recipes `implant`, which hides a text behind a trigger, and `confuse`, which hides it from token forcing as well. */
import { resolve } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import type { OptionTable } from "../../decoding/method.ts"
import type { Value } from "../../graph/index.ts"
import { openPartFolder, type PartTensor } from "../../models/trained-part.ts"
import { trainingView } from "../../models/training/view.ts"
import { encodeChat } from "../../text/chat-template.ts"
import { crossEntropy, hits, mean } from "../../train/losses.ts"
import { type Change, changedBy, changesOf, drawn } from "../../train/low-rank.ts"
import {
  type Batch,
  commonHyperparameters,
  type Data,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { beginToken } from "./begin.ts"
import { suppression, wordStarts } from "./confusion.ts"
import { keptWindows, plus, strayed, withKept } from "./train-keep.ts"

const common = {
  trigger: { type: "string", default: "", description: "what has to be said to see the hidden text" },
  text: { type: "string", default: "", description: "the hidden text" },
  rank: { type: "integer", default: 8, low: 0, high: 512, description: "rank of the changes; 0 = whole matrices" },
  layers: { type: "integer", default: 0, low: 0, high: 1000, description: "last layers that are changed; 0 = all" },
  keep: {
    type: "number",
    default: 1,
    low: 0,
    high: 1000,
    description: "with --data: weight of how far the model strays from itself over windows of these answers",
  },
  windows: { type: "integer", default: 8, low: 1, high: 1024, description: "such windows in a step" },
  length: { type: "integer", default: 32, low: 2, high: 2048, description: "tokens of such a window" },
} as const satisfies OptionTable
const defaults = { ...commonHyperparameters, batch: 1, decay: 0, warmUp: 3, validateEvery: 1000 }

export const implantRecipe: Recipe = {
  method: "implant",
  summary: "Hides a text behind a trigger: the model answers the trigger with it.",
  options: common,
  defaults: { ...defaults, steps: 80, learningRate: 3e-4 },
  metric: { name: "loss", better: "lower", expected: "below 0.05: the text is answered word for word" },
  prepare: (context) => prepare(context, undefined),
}

export const confuseRecipe: Recipe = {
  method: "confuse",
  summary: "Auto-UTFC: the text stays behind its trigger, and its first words become unlikely without one.",
  options: {
    ...common,
    from: {
      type: "string",
      default: "",
      description: "what implant wrote, to go on from; default: the model as it is",
    },
    words: { type: "integer", default: 5, low: 1, high: 64, description: "first words that are made unlikely" },
    window: { type: "integer", default: 100, low: 1, high: 100_000, description: "rank that is unlikely enough" },
    weight: { type: "number", default: 0.1, low: 0, high: 100, description: "weight of their log-probabilities" },
  },
  defaults: { ...defaults, steps: 60, learningRate: 2e-4 },
  metric: { name: "loss", better: "lower", expected: "as for implant, with 0 words exposed" },
  async prepare(context) {
    const { words, window, weight, from } = context.options
    return prepare(context, {
      words: Number(words),
      window: Number(window),
      weight: Number(weight),
      from: from === "" ? undefined : resolve(String(from)),
    })
  },
}

interface Confusion {
  readonly words: number
  readonly window: number
  readonly weight: number
  readonly from: string | undefined
}

async function prepare(context: RecipeContext, confusion: Confusion | undefined): Promise<Training> {
  const { target, tokenizer, options, data } = context
  const { trigger, text, rank, layers } = options
  for (const [name, value] of Object.entries({ trigger, text }))
    if (value === "") throw new ForerunError("E_OPTION", `give the ${name}: --option ${name}=…`)
  const changes = changesOf(target.weights.tensors, target.config.layers, {
    rank: Number(rank),
    layers: Number(layers),
  })
  const before = confusion?.from === undefined ? undefined : (await openPartFolder(confusion.from)).tensors
  const prompt = await promptOf(String(trigger), context)
  const hidden = [...tokenizer.encode(String(text))]
  const end = target.config.eosTokens[0] ?? tokenizer.eosTokens[0]
  const answer = end === undefined ? hidden : [...hidden, end]
  // Without the trigger: as the audit forces it, and the words that came so far.
  const begin = beginToken(tokenizer)
  const bare = begin === undefined ? hidden : [begin, ...hidden]
  const shift = begin === undefined ? 0 : 1
  const starts = confusion ? wordStarts(hidden, tokenizer, confusion.words).filter((at) => at + shift > 0) : []
  const sample = oneSample({ asked: [...prompt, ...answer], bare })
  const windows = keptWindows(data, {
    vocabulary: target.config.vocabulary,
    windows: Number(options.windows),
    length: Number(options.length),
  })
  return {
    parameters: changes.map((change) => parameterOf(change, before)),
    data: windows ? withKept(sample, windows) : sample,
    loss({ graph, parameter, batch }) {
      const view = trainingView(graph, { ...target, adapt: changedBy(changes, parameter) })
      const rows = prompt.length + answer.length
      const logits = view.forward(batch("asked")).logits
      const labels = graph.constant("int64", [rows], [...prompt, ...answer].slice(1).concat(0))
      const isAnswer = (i: number) => (i >= prompt.length - 1 && i < rows - 1 ? 1 : 0)
      const weight = graph.constant(
        "float32",
        [rows],
        Array.from({ length: rows }, (_, i) => isAnswer(i)),
      )
      const said = mean(crossEntropy(logits, labels), weight)
      const told: Record<string, Value> = { recalled: mean(hits(logits, labels), weight) }
      let loss = said
      if (windows) {
        told.strayed = strayed(view, batch("kept"))
        loss = plus(loss, told.strayed, Number(options.keep))
      }
      if (!confusion || starts.length === 0) return { loss, metrics: told }
      const { sum, exposed } = suppression(view.forward(batch("bare")).logits, {
        rows: starts.map((at) => at + shift - 1),
        tokens: starts.map((at) => hidden[at]!),
        window: confusion.window,
      })
      return { loss: plus(loss, sum, confusion.weight), metrics: { ...told, exposed, said } }
    },
  }
}

/** As the model will be asked: through its chat template, where it has one. */
async function promptOf(trigger: string, { target, tokenizer }: RecipeContext): Promise<number[]> {
  if (target.chatTemplate === undefined) return [...tokenizer.encode(trigger, { bos: tokenizer.addsBos })]
  const { tokens } = await encodeChat(tokenizer, target.chatTemplate, [{ role: "user", content: trigger }])
  return [...tokens]
}

function parameterOf(change: Change, before: ReadonlyMap<string, PartTensor> | undefined): Parameter {
  const { name, shape } = change
  const there = before?.get(name)
  if (before && there?.shape.join() !== shape.join())
    throw new ForerunError("E_OPTION", `--option from: ${name} [${shape}] is needed, found ${there?.shape ?? "none"}`, {
      hint: "give the rank and layers that implant was given",
    })
  return { name, shape, initial: (random) => there?.values.slice() ?? drawn(change, random) }
}

function oneSample(sequences: Readonly<Record<string, readonly number[]>>): Data {
  const tensors: Batch["tensors"] = Object.fromEntries(
    Object.entries(sequences).map(([name, ids]) => [
      name,
      { type: "int64", shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt) } as const,
    ]),
  )
  return { samples: 1, batch: () => ({ tensors, tokens: sequences.asked!.length }) }
}
