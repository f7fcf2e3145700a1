/** The differentiable graph of a model: the runtime's own numbers, and gradients that finite differences confirm. */
import { describe, expect, test } from "vitest"
import {
  add,
  concat,
  externalBuffer,
  fusedMatmul,
  Graph,
  gradients,
  multiply,
  reshape,
  serialize,
  split,
  type Value,
} from "../../src/graph/index.ts"
import type { Checkpoint } from "../../src/models/files/checkpoint.ts"
import type { KeptRows } from "../../src/models/training/attention.ts"
import { trainingView } from "../../src/models/training/view.ts"
import type { FloatType } from "../../src/models/training/weights.ts"
import { loadRunner } from "../../src/runtime/load-runner.ts"
import type { HostTensor } from "../../src/runtime/session.ts"
import { createSession } from "../../src/runtime/session-node.ts"
import { crossEntropy, mean } from "../../src/train/losses.ts"
import { randomTokens, seeded, type TinyModel, tinyCheckpoint } from "../support/tiny-model.ts"
import { maxDifference, range } from "../support/tiny-runner.ts"

const sizes = { seed: 11, hidden: 32, heads: 4, kvHeads: 2, headSize: 8, layers: 3, intermediate: 48, vocabulary: 61 }
const models: readonly TinyModel[] = [
  { family: "llama", ...sizes },
  { family: "llama", ...sizes, more: { tie_word_embeddings: true, rope_scaling: { rope_type: "linear", factor: 2 } } },
  { family: "mistral", ...sizes, window: 4 },
  { family: "qwen2", ...sizes, kvHeads: 4 },
  { family: "qwen3", ...sizes, kvHeads: 1 },
]
const [batch, length] = [2, 9]
const tokens = randomTokens(batch * length, sizes.vocabulary, 3)
const labels = randomTokens(batch * length, sizes.vocabulary, 4)

/** Runs a graph of the int64 inputs `tokens` and `labels` [batch, length] and of more inputs of its type. */
async function open(graph: Graph, type: FloatType) {
  const written = serialize(graph, "weights.bin")
  const session = await createSession(
    { model: written.model, external: { path: "weights.bin", data: externalBuffer(written) } },
    { threads: 1, device: "cpu" },
  )
  const whole = (values: readonly number[]) =>
    session.tensor("int64", BigInt64Array.from(values, BigInt), [batch, length])
  return {
    async run(more: Readonly<Record<string, { shape: readonly number[]; values: ArrayLike<number> }>>) {
      const feeds: Record<string, HostTensor> = {}
      for (const { name } of graph.inputs) {
        const given = more[name]
        const array = type === "float32" ? Float32Array : Float64Array
        feeds[name] = given
          ? session.tensor(type, array.from(given.values) as Float32Array, given.shape)
          : whole(name === "tokens" ? tokens : labels)
      }
      const found = await session.run(
        feeds,
        graph.outputs.map(({ name }) => name),
      )
      return Object.fromEntries(
        Object.entries(found).map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]),
      )
    },
    release: () => session.release(),
  }
}

describe.each(models)("$family, $kvHeads key heads, window $window", (model) => {
  test("gives the runtime's logits and hidden states", async () => {
    const checkpoint = tinyCheckpoint(model)
    const graph = new Graph()
    const view = trainingView(graph, checkpoint)
    const { logits, hidden } = view.forward(graph.input("tokens", "int64", [batch, length]), [2])
    graph.output("logits", logits)
    graph.output("hidden2", hidden.get(2)!)
    graph.output("hidden3", hidden.get(3)!)
    const { run, release } = await open(graph, "float32")
    const found = await run({})
    await release()

    const runner = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    for (const sequence of range(batch)) {
      const row = tokens.slice(sequence * length, (sequence + 1) * length)
      const cache = runner.openCache()
      const pass = await runner.forward({
        input: { tokens: Int32Array.from(row) },
        cache,
        want: { logits: "all", hidden: [2, 3] },
      })
      const part = (name: string, columns: number) =>
        found[name]!.slice(sequence * length * columns, (sequence + 1) * length * columns)
      expect(maxDifference(part("logits", sizes.vocabulary), pass.logits!.data)).toBeLessThan(1e-4)
      expect(maxDifference(part("hidden2", sizes.hidden), pass.hidden.get(2)!.data)).toBeLessThan(1e-4)
      expect(maxDifference(part("hidden3", sizes.hidden), pass.hidden.get(3)!.data)).toBeLessThan(1e-4)
      cache.dispose()
    }
    await runner.dispose()
  })
})

/** Weights of every kind, trained in place of the frozen ones. */
const trainedNames = [
  "model.embed_tokens.weight",
  "model.layers.0.input_layernorm.weight",
  "model.layers.0.self_attn.q_proj.weight",
  "model.layers.1.self_attn.k_proj.weight",
  "model.layers.1.self_attn.v_proj.weight",
  "model.layers.1.self_attn.o_proj.weight",
  "model.layers.2.mlp.gate_proj.weight",
  "model.layers.2.mlp.up_proj.weight",
  "model.layers.2.mlp.down_proj.weight",
  "model.norm.weight",
]

/** The mean cross-entropy of `labels`, and its gradient for each trained weight. */
function lossGraph(checkpoint: Checkpoint, type: FloatType, recompute = false) {
  const graph = new Graph()
  const trained = new Map<string, Value>()
  const view = trainingView(graph, {
    ...checkpoint,
    type,
    recompute,
    adapt({ name, shape }) {
      if (!trainedNames.includes(name)) return undefined
      const value = graph.input(name, type, shape)
      trained.set(name, value)
      return value
    },
  })
  const input = (name: string) => graph.input(name, "int64", [batch, length])
  const { logits } = view.forward(input("tokens"))
  const loss = mean(crossEntropy(logits, reshape(input("labels"), [-1])))
  const names = [...trained.keys()]
  for (const [i, gradient] of gradients(loss, [...trained.values()]).entries()) graph.output(`d ${names[i]}`, gradient)
  graph.output("loss", loss)
  return { graph, names }
}

const startOf = (checkpoint: Checkpoint, names: readonly string[]) =>
  Object.fromEntries(
    names.map((name) => [
      name,
      { shape: checkpoint.weights.tensors.get(name)!.shape, values: checkpoint.weights.float32(name) },
    ]),
  )

describe("gradients", () => {
  const checkpoint = tinyCheckpoint(models[1]!) // its embedding is its head: two uses of one weight

  test("agree with central differences in float64", async () => {
    const { graph, names } = lossGraph(checkpoint, "float64")
    expect([...names].sort()).toEqual([...trainedNames].sort())
    const { run, release } = await open(graph, "float64")
    const start = startOf(checkpoint, names)
    const analytic = await run(start)
    for (const name of names)
      for (const entry of [0, 7, 31]) {
        const { shape, values } = start[name]!
        const at = async (by: number) => {
          const moved = Float64Array.from(values)
          moved[entry]! += by
          return (await run({ ...start, [name]: { shape, values: moved } })).loss![0]!
        }
        const difference = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5
        expect(analytic[`d ${name}`]![entry], `${name} ${entry}`).toBeCloseTo(difference, 7)
      }
    await release()
  })

  test("in float32 are those of float64, with layers kept or built again", async () => {
    const results = []
    for (const [type, recompute] of [
      ["float64", false],
      ["float32", false],
      ["float32", true],
      ["float64", true],
    ] as const) {
      const { graph, names } = lossGraph(checkpoint, type, recompute)
      const { run, release } = await open(graph, type)
      results.push(await run(startOf(checkpoint, names)))
      await release()
    }
    const [exact, kept, again, exactAgain] = results
    for (const name of Object.keys(exact!)) {
      const largest = exact![name]!.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
      expect(largest, name).toBeGreaterThan(1e-4) // not all zero, so that equality means something
      expect(maxDifference(kept![name]!, exact![name]!) / largest, name).toBeLessThan(1e-4)
      expect(again![name], name).toEqual(kept![name])
      expect(exactAgain![name], name).toEqual(exact![name])
    }
  })
})

describe("spans of layers, positions and masks of one's own", () => {
  const checkpoint = tinyCheckpoint(models[0]!)
  const causal = (sees: (row: number, column: number) => boolean) =>
    range(length * length).map((i) => (sees(Math.floor(i / length), i % length) ? 0 : Number.NEGATIVE_INFINITY))

  async function logitsOf(build: (graph: Graph, tokens: Value) => Value) {
    const graph = new Graph()
    graph.output("logits", build(graph, graph.input("tokens", "int64", [batch, length])))
    const { run, release } = await open(graph, "float32")
    const { logits } = await run({})
    await release()
    return logits!
  }

  test("given explicitly, the default ones change no bit", async () => {
    const plain = await logitsOf((graph, x) => trainingView(graph, checkpoint).forward(x).logits)
    const explicit = await logitsOf((graph, x) => {
      const view = trainingView(graph, checkpoint)
      const positions = graph.constant(
        "int64",
        [batch, length],
        range(batch * length).map((i) => i % length),
      )
      const mask = graph.constant(
        "float32",
        [1, length, length],
        causal((row, column) => column <= row),
      )
      const first = view.layers(view.embed(x), [0, 1], { batch, length, positions, mask })
      return view.head(view.norm(view.layers(first, [1, 3], { batch, length, positions, mask })))
    })
    expect(explicit).toEqual(plain)
  })

  test("rows that run after others, and see them, are as if they had run with them", async () => {
    const plain = await logitsOf((graph, x) => trainingView(graph, checkpoint).forward(x).logits)
    const [before, after] = [6, 3]
    const columns = { batch, length: before }
    const apart = await logitsOf((graph, x) => {
      const view = trainingView(graph, checkpoint)
      const [first, rest] = split(reshape(view.embed(x), [batch, length, -1]), [before, after], 1)
      const keep: KeptRows = new Map()
      const stream = view.layers(reshape(first!, [batch * before, -1]), [0, 3], { ...columns, keep })
      const places = range(after).map((i) => before + i)
      const positions = graph.constant("int64", [batch, after], [...places, ...places])
      const sees = places.flatMap((row) => range(length).map((i) => (i <= row ? 0 : Number.NEGATIVE_INFINITY)))
      const mask = graph.constant("float32", [1, after, length], sees)
      const later = { batch, length: after, positions, mask, past: keep }
      const joined = view.layers(reshape(rest!, [batch * after, -1]), [0, 3], later)
      const parts = [reshape(stream, [batch, before, -1]), reshape(joined, [batch, after, -1])]
      return view.head(view.norm(reshape(concat(parts, 1), [batch * length, -1])))
    })
    expect(maxDifference(apart, plain)).toBeLessThan(1e-4)
  })

  test("rows that no other row sees change no other row", async () => {
    const hidden = 5
    const masked = (spoilt: boolean) =>
      logitsOf((graph, x) => {
        const view = trainingView(graph, checkpoint)
        const sees = causal((row, column) => column <= row && (column !== hidden || row === hidden))
        const mask = graph.constant("float32", [1, length, length], sees)
        const embedded = view.embed(x)
        const spoil = range(batch * length * sizes.hidden).map((i) =>
          spoilt && Math.floor(i / sizes.hidden) % length === hidden ? 3 : 1,
        )
        const factor = graph.constant("float32", [batch * length, sizes.hidden], spoil)
        const entering = multiply(embedded, factor)
        return view.head(view.norm(view.layers(entering, [0, 3], { batch, length, mask })))
      })
    const [clean, spoilt] = [await masked(false), await masked(true)]
    const row = (data: Float64Array, i: number) => data.slice(i * sizes.vocabulary, (i + 1) * sizes.vocabulary)
    for (const i of range(batch * length))
      if (i % length === hidden) expect(row(spoilt, i)).not.toEqual(row(clean, i))
      else expect(row(spoilt, i)).toEqual(row(clean, i))
  })
})

test("other families are refused by name", () => {
  const checkpoint = tinyCheckpoint({ family: "gpt2", ...sizes, kvHeads: 4 })
  expect(() => trainingView(new Graph(), checkpoint)).toThrow(
    expect.objectContaining({ code: "E_MODEL_UNSUPPORTED", message: expect.stringContaining("gpt2") }),
  )
})

test("a low-rank change beside a product is the changed weight", async () => {
  const checkpoint = tinyCheckpoint(models[0]!)
  const [rank, random] = [2, seeded(5)]
  const names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight"]
  const some = (shape: readonly number[]) => ({
    shape,
    values: Float32Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5),
  })
  const given = Object.fromEntries(
    names.flatMap((name) => {
      const [out, width] = checkpoint.weights.tensors.get(name)!.shape as [number, number]
      return [
        [`up ${name}`, some([out, rank])],
        [`down ${name}`, some([rank, width])],
      ]
    }),
  )
  const logits = async (isBeside: boolean) => {
    const graph = new Graph()
    const input = (name: string) => graph.input(name, "float32", given[name]!.shape)
    const view = trainingView(graph, {
      ...checkpoint,
      adapt({ name, frozen }) {
        if (!names.includes(name)) return undefined
        const [up, down] = [input(`up ${name}`), input(`down ${name}`)]
        return isBeside ? { up, down } : add(frozen(), fusedMatmul(up, down, {}))
      },
    })
    graph.output("logits", view.forward(graph.input("tokens", "int64", [batch, length])).logits)
    const { run, release } = await open(graph, "float32")
    const found = await run(given)
    await release()
    return found.logits!
  }
  const [beside, merged] = [await logits(true), await logits(false)]
  expect(maxDifference(beside, merged)).toBeLessThan(1e-4)
  const zero = Object.fromEntries(
    Object.entries(given).map(([name, { shape, values }]) => [name, { shape, values: values.map(() => 0) }]),
  )
  Object.assign(given, zero)
  expect(maxDifference(await logits(true), beside)).toBeGreaterThan(0.01)
})
