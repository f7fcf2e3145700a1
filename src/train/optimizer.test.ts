/** AdamW against the paper's formulas in float64, clipping, accumulation, schedules. */
import { describe, expect, test } from "vitest"
import { matmul, multiply, reduceMean, reduceSum, subtract } from "../graph/index.ts"
import { createRandom } from "../tensor/random.ts"
import { learningRate } from "./optimizer.ts"
import { type Batch, commonHyperparameters, type Hyperparameters, type Training } from "./recipe.ts"
import { initialState, StepRunner } from "./step-runner.ts"

const hyper: Hyperparameters = {
  ...commonHyperparameters,
  steps: 10,
  batch: 2,
  learningRate: 0.05,
  schedule: "constant",
  warmUp: 0,
  decay: 0.1,
  clip: 0,
  validateEvery: 1,
}

/** mean (x·w − y)², w [2, 1], and a vector that is only decayed when asked. */
const regression: Training = {
  parameters: [{ name: "w", shape: [2, 1], initial: () => Float32Array.of(0.5, -0.25) }],
  data: { samples: 4, batch: () => batchOf([1, 2, 3, 4], [1, 0]) },
  loss({ parameter, batch }) {
    const error = subtract(matmul(batch("x"), parameter("w")), batch("y"))
    return { loss: reduceMean(multiply(error, error), [0, 1], false) }
  },
}

const batchOf = (x: readonly number[], y: readonly number[]): Batch => ({
  tensors: {
    x: { type: "float32", shape: [y.length, 2], data: Float32Array.from(x) },
    y: { type: "float32", shape: [y.length, 1], data: Float32Array.from(y) },
  },
  tokens: y.length,
})

const open = (training: Training, settings: Hyperparameters) =>
  new StepRunner(training, settings, { state: initialState(training.parameters, createRandom(1)), threads: 1 })

/** Algorithm 2 of Loshchilov and Hutter, with the gradient of the regression written out. */
function reference(rows: readonly (readonly [number, number, number])[], settings: Hyperparameters, steps: number) {
  const w = [0.5, -0.25]
  const [m, v] = [
    [0, 0],
    [0, 0],
  ]
  for (let t = 1; t <= steps; t++) {
    const g = [0, 1].map((i) =>
      rows.reduce((sum, row) => sum + (2 * (row[0] * w[0]! + row[1] * w[1]! - row[2]) * row[i]!) / rows.length, 0),
    )
    const length = Math.hypot(...g)
    const scale = settings.clip > 0 ? Math.min(1, settings.clip / length) : 1
    const rate = learningRate(settings, t - 1)
    for (const i of [0, 1]) {
      const gi = g[i]! * scale
      m[i] = settings.beta1 * m[i]! + (1 - settings.beta1) * gi
      v[i] = settings.beta2 * v[i]! + (1 - settings.beta2) * gi * gi
      const step = m[i]! / (1 - settings.beta1 ** t) / (Math.sqrt(v[i]! / (1 - settings.beta2 ** t)) + settings.epsilon)
      w[i] = w[i]! - rate * (step + settings.decay * w[i]!)
    }
  }
  return w
}

const rows = [
  [1, 2, 1],
  [3, 4, 0],
] as const

describe("AdamW", () => {
  test.each([
    ["plain", {}],
    ["clipped", { clip: 0.5 }],
    ["cosine with warm-up", { schedule: "cosine", warmUp: 3 }],
    ["without decay", { decay: 0 }],
  ] as const)("five steps, %s", async (_, changes) => {
    const settings = { ...hyper, ...changes }
    const runner = open(regression, settings)
    const first = await runner.step([batchOf([1, 2, 3, 4], [1, 0])], 0)
    // x·w is 0 and 0.5: loss (1 + 0.25) / 2, gradient (0.5, 0)
    expect(first.values.loss).toBeCloseTo(0.625, 6)
    expect(first.gradientNorm).toBeCloseTo(0.5, 6)
    for (let step = 1; step < 5; step++) await runner.step([batchOf([1, 2, 3, 4], [1, 0])], step)
    const found = runner.state.get("parameter/w")!
    for (const [i, wanted] of reference(rows, settings, 5).entries()) expect(found[i]).toBeCloseTo(wanted, 5)
    await runner.release()
  })

  test("two accumulated passes are one pass over both halves", async () => {
    const whole = open(regression, hyper)
    const halves = open(regression, { ...hyper, accumulate: 2, batch: 1 })
    for (let step = 0; step < 3; step++) {
      const a = await whole.step([batchOf([1, 2, 3, 4], [1, 0])], step)
      const b = await halves.step([batchOf([1, 2], [1]), batchOf([3, 4], [0])], step)
      expect(b.values.loss).toBeCloseTo(a.values.loss!, 6)
      expect(b.gradientNorm).toBeCloseTo(a.gradientNorm, 6)
    }
    for (const key of whole.state.keys())
      for (const [i, value] of whole.state.get(key)!.entries()) expect(halves.state.get(key)![i]).toBeCloseTo(value, 6)
    await whole.release()
    await halves.release()
  })

  test("a parameter's own rate is a run's of that learning rate, decay included", async () => {
    const parameters = regression.parameters.map((parameter) => ({ ...parameter, rate: 4 }))
    const runner = open({ ...regression, parameters }, hyper)
    for (let step = 0; step < 5; step++) await runner.step([batchOf([1, 2, 3, 4], [1, 0])], step)
    const found = runner.state.get("parameter/w")!
    const wanted = reference(rows, { ...hyper, learningRate: 4 * hyper.learningRate }, 5)
    for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, 5)
    await runner.release()
  })

  test("vectors do not decay unless they say so", async () => {
    const still: Training = {
      ...regression,
      parameters: [
        { name: "v", shape: [1], initial: () => Float32Array.of(2) },
        { name: "pulled", shape: [1], decay: true, initial: () => Float32Array.of(2) },
      ],
      // No gradient but through a factor of zero, so that decay alone can move them.
      loss: ({ graph, parameter }) => {
        const zero = graph.scalar("float32", 0)
        return { loss: reduceSum(multiply(multiply(parameter("v"), parameter("pulled")), zero), 0, false) }
      },
    }
    const runner = open(still, hyper)
    await runner.step([batchOf([1, 2, 3, 4], [1, 0])], 0)
    expect(runner.state.get("parameter/v")![0]).toBe(2)
    expect(runner.state.get("parameter/pulled")![0]).toBeCloseTo(2 * (1 - 0.05 * 0.1), 6)
    await runner.release()
  })
})

test("a cosine rises, stands at its full height, and ends at what is left", () => {
  const cosine = { ...hyper, schedule: "cosine", steps: 110, warmUp: 10, learningRate: 1, finalRate: 0.1 } as const
  const rates = [0, 9, 10, 60, 110].map((step) => learningRate(cosine, step))
  expect(rates).toEqual([0.1, 1, 1, 0.55, 0.1].map((rate) => expect.closeTo(rate, 9)))
  expect(learningRate({ ...cosine, schedule: "constant" }, 100)).toBe(1)
})
