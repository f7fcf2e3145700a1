/** Self-speculative decoding: the first layers of the target draft, all of them verify. One fixed exit layer. */
import { ForerunError } from "../../base/errors.ts"
import { createDraftLength, draftLengthOptions } from "../../decoding/draft-length.ts"
import { createExitDrafter } from "../../decoding/drafters/exit-drafter.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"

export const selfSpeculative: Method = {
  name: "self-speculative",
  summary: "The target's own first layers draft and verification goes on from where they stopped.",
  paper: {
    title: "LayerSkip: Enabling Early Exit Inference and Self-Speculative Decoding",
    authors: "Elhoushi et al.",
    year: 2024,
    arxiv: "2404.16710",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "layer-spans", "hidden-states"] },
  options: {
    exitLayer: {
      type: "integer",
      default: 0,
      low: 0,
      high: 1000,
      description: "layers that run before a draft leaves, at least one less than the model has; 0: a quarter of them",
    },
    ...draftLengthOptions({ policy: "fixed", cost: 0.4 }),
  },
  trained: false,
  run(prompt, context) {
    const { exitLayer: wanted, draftLength, policy, threshold, cost } = context.options as Options
    const { target } = context.models
    const exitLayer = exitLayerOf(wanted, target.config.layers)
    return speculate(prompt, context, {
      drafter: createExitDrafter({ target, context, exitLayer: () => exitLayer }),
      budget: createDraftLength(policy, { most: draftLength, threshold, cost }),
    })
  },
}

interface Options extends OptionValues {
  readonly exitLayer: number
  readonly draftLength: number
  readonly policy: string
  readonly threshold: number
  readonly cost: number
}

/** @throws E_OPTION when no layer is left behind the exit */
export function exitLayerOf(wanted: number, layers: number): number {
  const exit = wanted === 0 ? Math.max(1, Math.round(layers / 4)) : wanted
  if (exit < layers) return exit
  throw new ForerunError("E_OPTION", `exitLayer needs a layer from 1 to ${layers - 1} of this model, found ${exit}`)
}
