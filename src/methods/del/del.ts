/** DEL: self-speculation whose exit layer and draft length follow the context, decided anew in every round. */
import { ForerunError } from "../../base/errors.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import type { Context, Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"
import { blockSize } from "../../models/builder.ts"
import { headCostBySize } from "../../runtime/head-cost.ts"
import { createDelDrafter } from "./del-drafter.ts"
import { type PlanCosts, paperCosts } from "./plan.ts"

export const del: Method = {
  name: "del",
  summary: "Self-speculation that chooses exit layer and draft length by what exits got right lately.",
  paper: {
    title: "DEL: Context-Aware Dynamic Exit Layer for Efficient Self-Speculative Decoding",
    authors: "Entezari Zarch et al.",
    year: 2025,
    arxiv: "2504.05598",
    venue: "COLM 2025",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "layer-spans", "hidden-states", "top-k"] },
  options: {
    length: {
      type: "string",
      default: "confidence",
      choices: ["confidence", "planned"],
      description: "what ends a draft: the exit's confidence, or the planned length (DELE)",
    },
    omega: { type: "number", default: 0.95, low: 0, high: 1, description: "weight that evidence keeps for each round" },
    exitStep: {
      type: "integer",
      default: 0,
      low: 0,
      high: 1000,
      description: "layers between exits (the paper: 1); 0: so many that at most ten exits are watched",
    },
    contextRows: {
      type: "integer",
      default: 16,
      low: 0,
      high: 128,
      description: "last rows of the prompt that are evidence too (the paper: 32)",
    },
    refresh: {
      type: "integer",
      default: 2,
      low: 1,
      high: 100,
      description: "drafting rounds for each with shadow tokens (the paper: 1)",
    },
    costs: {
      type: "string",
      default: "all",
      choices: ["all", "layers"],
      description: "what a round is taken to cost: layers, heads, rows and shadow tokens, or layers only (the paper)",
    },
  },
  trained: false,
  run(prompt, context) {
    const { length, omega, exitStep, contextRows, refresh, costs } = context.options as Options
    const { target } = context.models
    const exits = exitsOf(target.config.layers, exitStep)
    const drafter = createDelDrafter({
      target,
      context,
      exits,
      costs: costs === "layers" ? paperCosts(target.config.layers) : allCosts(context, exits.length / refresh),
      omega,
      contextRows,
      refresh,
      isPlanned: length === "planned",
    })
    return speculate(prompt, context, { drafter, budget: fixedBudget(blockSize - 1) })
  },
}

interface Options extends OptionValues {
  readonly length: string
  readonly omega: number
  readonly exitStep: number
  readonly contextRows: number
  readonly refresh: number
  readonly costs: string
}

const mostExits = 10

/** Every `step`-th layer but the last, at least one. @throws E_ABILITY for a model of one layer */
export function exitsOf(layers: number, step: number): readonly number[] {
  if (layers < 2) throw new ForerunError("E_ABILITY", "an early exit needs a model of at least two layers, found one")
  const size = step === 0 ? Math.max(1, Math.ceil((layers - 1) / mostExits)) : step
  const exits = Array.from({ length: layers - 1 }, (_, i) => i + 1).filter((exit) => exit % size === 0)
  return exits.length > 0 ? exits : [layers - 1]
}

/** With what the head costs here, and the shadow tokens of so many exits a round. */
function allCosts({ models, cost, headCost }: Context, exits: number): PlanCosts {
  const { config } = models.target
  const head = headCost ?? headCostBySize(config)
  const shadows = (tokens: number) => head * cost(Math.max(1, Math.ceil(exits * tokens)))
  return { layers: config.layers, head, rows: cost, shadows }
}
