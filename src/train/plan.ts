/** What a run will cost, before it starts: counted from its graph, and timed over one step that is thrown away. */
import { peakBytes, productFlops, weightBytes } from "../graph/index.ts"
import { createRandom } from "../tensor/random.ts"
import { createSampler } from "./dataset.ts"
import { accumulationGraph, evaluationGraph, stepGraph } from "./step-graph.ts"
import { initialState, StepRunner } from "./step-runner.ts"
import type { TrainRequest } from "./trainer.ts"

export interface Plan {
  readonly method: string
  readonly parameters: number
  readonly samples: number
  readonly validationSamples: number
  readonly steps: number
  readonly tokensPerStep: number
  readonly epochs: number
  readonly expected: string
  readonly time: {
    readonly secondsPerStep: number
    readonly seconds: number
    /** Matrix products only. */
    readonly gigaflopPerStep: number
  }
  readonly memory: {
    /** Weights that are not trained. */
    readonly frozenBytes: number
    /** Parameters and optimiser state, going in and coming out. */
    readonly stateBytes: number
    /** Values of one pass at their peak. */
    readonly valueBytes: number
  }
}

export async function planTraining(request: TrainRequest): Promise<Plan> {
  const { training, hyper, recipe, seed, threads } = request
  const random = createRandom(seed)
  const sample = createSampler(training.data.samples, hyper.batch, random.fork("order"))
  const batches = Array.from({ length: hyper.accumulate }, (_, i) => training.data.batch(sample(i), random.fork(i)))
  const whole = hyper.accumulate === 1
  const graph = whole ? stepGraph(training, batches[0]!, hyper) : accumulationGraph(training, batches[0]!)
  const flops = productFlops(graph) * hyper.accumulate

  const state = initialState(training.parameters, random.fork("start"))
  const runner = new StepRunner(training, hyper, { state, threads })
  const time = async () => {
    const begin = performance.now()
    await runner.step(batches, 0)
    return (performance.now() - begin) / 1000
  }
  try {
    await time() // builds the session
    const secondsPerStep = await time()
    // A validation pass has no backward half, so it costs about its share of the arithmetic.
    const forward = productFlops(evaluationGraph(training, batches[0]!)) / Math.max(1, productFlops(graph))
    const validationPasses = Math.floor((training.validation?.samples ?? 0) / hyper.batch)
    const validations = training.validation ? Math.ceil(hyper.steps / hyper.validateEvery) : 0
    const perPass = secondsPerStep / hyper.accumulate
    const parameters = training.parameters.reduce((sum, { shape }) => sum + shape.reduce((n, dim) => n * dim, 1), 0)
    return {
      method: recipe.method,
      parameters,
      samples: training.data.samples,
      validationSamples: training.validation?.samples ?? 0,
      steps: hyper.steps,
      tokensPerStep: batches.reduce((sum, { tokens }) => sum + tokens, 0),
      epochs: (hyper.steps * hyper.accumulate * hyper.batch) / training.data.samples,
      expected: `${recipe.metric.name}: ${recipe.metric.expected}`,
      time: {
        secondsPerStep,
        seconds: hyper.steps * secondsPerStep + validations * validationPasses * perPass * forward,
        gigaflopPerStep: flops / 1e9,
      },
      memory: { frozenBytes: weightBytes(graph), stateBytes: 2 * 3 * 4 * parameters, valueBytes: peakBytes(graph) },
    }
  } finally {
    await runner.release()
  }
}
