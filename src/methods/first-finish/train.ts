/** Recipe `tiny-maze`: a tiny model that searches mazes by chance, one whose wrong branches run long or one whose do not. */
import type { Random } from "../../tensor/random.ts"
import type { ModelContext, ModelRecipe, ModelTraining } from "../../train/recipe.ts"
import { commonHyperparameters } from "../../train/recipe.ts"
import { imitation } from "../../train/tiny/imitation.ts"
import { lessons } from "../../train/tiny/lessons.ts"
import { tinyModel, tinyOptions } from "../../train/tiny/model.ts"
import { tinyTokenizer } from "../../train/tiny/tokenizer.ts"
import { drawMaze, longestMaze, mazeCharacters, type Walker, walk } from "./train-maze.ts"

export const recipe: ModelRecipe = {
  method: "tiny-maze",
  makes: "model",
  summary:
    "A tiny model that searches mazes by chance: where wrong branches run long, and a control where they do not.",
  options: {
    ...tinyOptions,
    walker: {
      type: "string",
      default: "looking",
      choices: ["looking", "blind"],
      description: "whose walks are imitated: looking leaves where it sees an exit, blind (control) after any time",
    },
  },
  defaults: {
    ...commonHyperparameters,
    steps: 3000,
    batch: 32,
    learningRate: 3e-3,
    warmUp: 100,
    decay: 0.01,
    validateEvery: 250,
  },
  metric: { name: "excess", better: "lower", expected: "below 0.02: nats a token above the walker's own" },
  prepare,
}

const held = 256
const questions = 200

async function prepare({ options, random }: ModelContext): Promise<ModelTraining> {
  const walker = options.walker as Walker
  const tokenizer = tinyTokenizer(mazeCharacters)
  const model = tinyModel(options, {
    vocabulary: tokenizer.tokenizer.size,
    end: tokenizer.end,
    context: longestMaze,
  })
  const draw = (one: Random) => walk(drawMaze(one.fork("maze")), walker, one.fork("walk"))
  const common = { tokenizer, length: longestMaze - 1, draw }
  return imitation({
    model,
    tokenizer,
    data: lessons({ ...common, samples: 1_000_000, random: random.fork("lessons") }),
    validation: lessons({ ...common, samples: held, random: random.fork("validation") }),
    files: { "questions.jsonl": questionsFrom(random.fork("questions")) },
  })
}

/** Mazes that no lesson is drawn from, for `forerun race --in`; the same for both walkers. */
const questionsFrom = (random: Random): string =>
  Array.from({ length: questions }, (_, id) => {
    const { question, exit } = drawMaze(random.fork(id))
    return `${JSON.stringify({ id, question, answer: exit })}\n`
  }).join("")
