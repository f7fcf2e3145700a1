/** AdamW inside the step graph (Loshchilov and Hutter 2019: decay decoupled from the gradient), and learning rates. */

import type { Graph, Value } from "../graph/index.ts"
import { add, addAll, divide, minimum, multiply, reduceSumSquare, reshape, sqrt, subtract } from "../graph/index.ts"
import type { Hyperparameters } from "./recipe.ts"

/** Scalars that change from step to step are inputs of the graph, so that one graph serves all steps. */
export interface StepScalars {
  /** Learning rate over 1 − β₁ᵗ. */
  readonly rate: number
  /** 1 / sqrt(1 − β₂ᵗ). */
  readonly spread: number
  /** 1 − learning rate · decay. */
  readonly keep: number
}
export const scalarNames = ["rate", "spread", "keep"] as const

export function learningRate(hyper: Hyperparameters, step: number): number {
  const { learningRate: full, warmUp, steps, finalRate } = hyper
  if (step < warmUp) return (full * (step + 1)) / warmUp
  if (hyper.schedule === "constant") return full
  const done = Math.min(1, (step - warmUp) / Math.max(1, steps - warmUp))
  return full * (finalRate + ((1 - finalRate) * (1 + Math.cos(Math.PI * done))) / 2)
}

/** @param step from 0 */
export function stepScalars(hyper: Hyperparameters, step: number): StepScalars {
  const rate = learningRate(hyper, step)
  return {
    rate: rate / (1 - hyper.beta1 ** (step + 1)),
    spread: 1 / Math.sqrt(1 - hyper.beta2 ** (step + 1)),
    keep: 1 - rate * hyper.decay,
  }
}

/** Length of all gradients together. */
export function globalNorm(gradients: readonly Value[]): Value {
  const squares = gradients.map((gradient) =>
    reshape(
      reduceSumSquare(
        gradient,
        gradient.shape.map((_, axis) => axis),
      ),
      [1],
    ),
  )
  return sqrt(addAll(squares))
}

/** What the gradients are multiplied by: 1/passes, and less where the mean gradient is longer than `clip`. */
export function gradientScale(norm: Value, clip: number, passes: number): Value {
  const { graph } = norm
  const share = graph.scalar("float32", 1 / passes)
  if (clip === 0) return share
  const limit = graph.scalar("float32", clip)
  const length = multiply(norm, share)
  const shrink = minimum(graph.scalar("float32", 1), divide(limit, add(length, graph.scalar("float32", 1e-6))))
  return multiply(shrink, share)
}

export interface AdamState {
  readonly value: Value
  /** Running means of the gradient and of its square. */
  readonly first: Value
  readonly second: Value
}

type AdamScalars = Readonly<Record<keyof StepScalars, Value>>

export function adamW(
  state: AdamState,
  gradient: Value,
  scalars: AdamScalars,
  settings: Pick<Hyperparameters, "beta1" | "beta2" | "epsilon"> & { readonly decays: boolean; readonly rate: number },
): AdamState {
  const { graph } = gradient
  const number = (value: number) => graph.scalar("float32", value)
  const blend = (old: Value, fresh: Value, beta: number) =>
    add(multiply(old, number(beta)), multiply(fresh, number(1 - beta)))
  const { rate, keep } = settings.rate === 1 ? scalars : faster(scalars, settings.rate)
  const first = blend(state.first, gradient, settings.beta1)
  const second = blend(state.second, multiply(gradient, gradient), settings.beta2)
  const step = divide(multiply(first, rate), add(multiply(sqrt(second), scalars.spread), number(settings.epsilon)))
  const kept = settings.decays ? multiply(state.value, keep) : state.value
  return { value: subtract(kept, step), first, second }
}

/** The scalars of a learning rate so many times as high; `keep` is 1 − rate · decay. */
function faster(scalars: AdamScalars, times: number): Pick<AdamScalars, "rate" | "keep"> {
  const number = (value: number) => scalars.rate.graph.scalar("float32", value)
  const keep = subtract(number(1), multiply(subtract(number(1), scalars.keep), number(times)))
  return { rate: multiply(scalars.rate, number(times)), keep }
}

export function scalarInputs(graph: Graph): AdamScalars {
  const [rate, spread, keep] = scalarNames.map((name) => graph.input(name, "float32", []))
  return { rate: rate!, spread: spread!, keep: keep! }
}
