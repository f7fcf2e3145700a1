/** A recipe over a real target, as a method would write it: one frozen-base head that predicts the token after the next. */
import { readFileSync } from "node:fs"
import { ForerunError } from "../../src/base/errors.ts"
import { add, fusedMatmul, reshape, silu } from "../../src/graph/index.ts"
import { trainingView } from "../../src/models/training/view.ts"
import { tokenWindows } from "../../src/train/dataset.ts"
import { crossEntropy, hits, mean } from "../../src/train/losses.ts"
import { commonHyperparameters, type Recipe, type RecipeContext, type Training } from "../../src/train/recipe.ts"

export const recipe: Recipe = {
  method: "autoregressive",
  summary: "A residual block before the frozen head.",
  options: { length: { type: "integer", default: 12, low: 2, high: 512, description: "tokens in a window" } },
  defaults: { ...commonHyperparameters, steps: 30, batch: 4, learningRate: 1e-2, warmUp: 3, validateEvery: 10 },
  metric: { name: "accuracy", better: "higher", expected: "above 0.5 on a repeated text" },
  prepare,
}

async function prepare({ target, tokenizer, options, data }: RecipeContext): Promise<Training> {
  const [path] = data
  if (path === undefined) throw new ForerunError("E_USAGE", "give a text: --data <file>")
  const text = Int32Array.from(tokenizer.encode(readFileSync(path, "utf8")))
  const { hidden, layers } = target.config
  const windows = tokenWindows(text, Number(options.length))
  const cut = Math.floor(windows.samples * 0.8)
  return {
    parameters: [{ name: "block", shape: [hidden, hidden], initial: () => new Float32Array(hidden * hidden) }],
    data: { ...windows, samples: cut },
    validation: {
      samples: windows.samples - cut,
      batch: (indices, random) =>
        windows.batch(
          indices.map((i) => i + cut),
          random,
        ),
    },
    loss({ graph, parameter, batch }) {
      const view = trainingView(graph, target)
      const tokens = batch("tokens")
      const rows = { batch: tokens.shape[0] as number, length: tokens.shape[1] as number }
      const state = view.norm(view.layers(view.embed(tokens), [0, layers], rows))
      const logits = view.head(add(state, silu(fusedMatmul(state, parameter("block"), { transB: true }))))
      const labels = reshape(batch("labels"), [-1])
      return { loss: mean(crossEntropy(logits, labels)), metrics: { accuracy: mean(hits(logits, labels)) } }
    },
  }
}
