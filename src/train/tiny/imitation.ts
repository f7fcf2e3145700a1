/** Training of a tiny model on lessons: the next token of the answers, and how far the model is from their law. */
import { divide, reduceSum, subtract } from "../../graph/index.ts"
import { crossEntropy, mean } from "../losses.ts"
import type { Data, ModelTraining } from "../recipe.ts"
import type { TinyModel } from "./model.ts"
import type { TinyTokenizer } from "./tokenizer.ts"

export interface Imitation {
  readonly model: TinyModel
  readonly tokenizer: TinyTokenizer
  readonly data: Data
  readonly validation: Data
  /** Texts that come with the model, by file name. */
  readonly files?: Readonly<Record<string, string>>
}

/** Metric `excess`: nats a token above the lessons' own surprise, an estimate of KL(law ‖ model) a token; 0 is perfect. */
export function imitation({ model, tokenizer, data, validation, files = {} }: Imitation): ModelTraining {
  return {
    parameters: model.parameters,
    data,
    validation,
    files: { ...model.files, ...tokenizer.files, ...files },
    loss({ graph, parameter, batch }) {
      const { logits } = model.view(graph, parameter).forward(batch("tokens"))
      const loss = mean(crossEntropy(logits, batch("labels")), batch("weight"))
      const total = (name: string) => reduceSum(batch(name), [0], false)
      return { loss, metrics: { excess: subtract(loss, divide(total("surprise"), total("weight"))) } }
    },
  }
}
