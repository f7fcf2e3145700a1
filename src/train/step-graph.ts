/** The graphs of training: a whole step, one of several accumulated passes, the update after them, and validation. */
import { ForerunError } from "../base/errors.ts"
import { add, cast, Graph, gradients, multiply, reshape, type Value } from "../graph/index.ts"
import { adamW, globalNorm, gradientScale, scalarInputs } from "./optimizer.ts"
import type { Batch, Hyperparameters, Losses, Parameter, Training } from "./recipe.ts"

/** Names of inputs and outputs. A parameter's state carries its name after one of these. */
export const stateKinds = ["parameter", "first", "second"] as const
export type StateKind = (typeof stateKinds)[number]
export const stateName = (kind: StateKind | "gradient", name: string): string => `${kind}/${name}`
export const batchName = (name: string): string => `batch/${name}`
export const metricName = (name: string): string => `metric/${name}`

/** Batches with the same key run in the same graph. */
export const shapeKey = (batch: Batch): string =>
  JSON.stringify(Object.entries(batch.tensors).map(([name, { type, shape }]) => [name, type, shape]))

/** Loss and metrics of a batch; parameters and batch are inputs. */
export function evaluationGraph(training: Training, batch: Batch): Graph {
  const graph = new Graph()
  report(graph, lossOf(graph, training, batch).losses)
  return graph
}

/** A whole step: parameters and state in, parameters and state out. */
export function stepGraph(training: Training, batch: Batch, hyper: Hyperparameters): Graph {
  const graph = new Graph()
  const { losses, parameters } = lossOf(graph, training, batch)
  const found = gradients(losses.loss, parameters)
  update(graph, training.parameters, { values: parameters, gradients: found, hyper })
  report(graph, losses)
  return graph
}

/** One pass of a step: adds its gradients to those of the passes before. */
export function accumulationGraph(training: Training, batch: Batch): Graph {
  const graph = new Graph()
  const { losses, parameters } = lossOf(graph, training, batch)
  for (const [i, gradient] of gradients(losses.loss, parameters).entries()) {
    const name = stateName("gradient", training.parameters[i]!.name)
    graph.output(`next/${name}`, add(graph.input(name, "float32", gradient.shape), gradient))
  }
  report(graph, losses)
  return graph
}

/** The update from accumulated gradients. */
export function updateGraph(training: Training, hyper: Hyperparameters): Graph {
  const graph = new Graph()
  const values = training.parameters.map((parameter) => stateInput(graph, "parameter", parameter))
  const summed = training.parameters.map(({ name, shape }) =>
    graph.input(stateName("gradient", name), "float32", shape),
  )
  update(graph, training.parameters, { values, gradients: summed, hyper })
  return graph
}

function lossOf(graph: Graph, training: Training, batch: Batch): { losses: Losses; parameters: Value[] } {
  const parameters = training.parameters.map((parameter) => stateInput(graph, "parameter", parameter))
  for (const [name, { type, shape }] of Object.entries(batch.tensors)) graph.input(batchName(name), type, shape)
  const known = (name: string): Value => {
    const value = graph.values.get(name)
    if (value) return value
    const there = graph.inputs.map((input) => input.name).join(", ")
    throw new ForerunError("E_GRAPH", `the loss asks for ${name}, which is not there (there are ${there})`)
  }
  const losses = training.loss({
    graph,
    parameter: (name) => known(stateName("parameter", name)),
    batch: (name) => known(batchName(name)),
  })
  return { losses, parameters }
}

const stateInput = (graph: Graph, kind: StateKind, { name, shape }: Parameter): Value =>
  graph.input(stateName(kind, name), "float32", shape)

function update(
  graph: Graph,
  parameters: readonly Parameter[],
  { values, gradients: found, hyper }: { values: Value[]; gradients: Value[]; hyper: Hyperparameters },
): void {
  const norm = globalNorm(found)
  const scale = gradientScale(norm, hyper.clip, hyper.accumulate)
  const scalars = scalarInputs(graph)
  for (const [i, parameter] of parameters.entries()) {
    const state = {
      value: values[i]!,
      first: stateInput(graph, "first", parameter),
      second: stateInput(graph, "second", parameter),
    }
    const decays = parameter.decay ?? parameter.shape.length > 1
    const next = adamW(state, multiply(found[i]!, scale), scalars, { ...hyper, decays, rate: parameter.rate ?? 1 })
    graph.output(`next/${stateName("parameter", parameter.name)}`, next.value)
    graph.output(`next/${stateName("first", parameter.name)}`, next.first)
    graph.output(`next/${stateName("second", parameter.name)}`, next.second)
  }
  graph.output("gradientNorm", multiply(norm, graph.scalar("float32", 1 / hyper.accumulate)))
}

function report(graph: Graph, { loss, metrics = {} }: Losses): void {
  for (const [name, value] of Object.entries({ ...metrics, loss }))
    graph.output(metricName(name), reshape(cast(value, "float32"), []))
}

export const reportedNames = (graph: Graph): string[] =>
  graph.outputs.flatMap(({ name }) => (name.startsWith("metric/") ? [name.slice("metric/".length)] : []))
