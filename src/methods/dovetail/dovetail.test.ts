/** Dovetail: the method contract with weights that know nothing, its fusion, and drafters of several layers. */
import { describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { randomDrafter } from "../../../test/support/drafter-part.ts"
import { Graph, matmul, type Value } from "../../graph/index.ts"
import { fuse } from "../../models/drafter/layer.ts"
import { type DrafterSizes, drafterTensors } from "../../models/drafter/sizes.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { dovetail } from "./dovetail.ts"

methodContract(dovetail, {
  optionSets: [
    { size: "fixed", nodes: 6, width: 3, depth: 3 },
    { size: "fixed", nodes: 2, width: 2, depth: 2, overlap: true },
  ],
  part: randomDrafter({ span: 1, fusion: "dynamic", layers: 2 }),
})

const sizes: DrafterSizes = {
  hidden: 4,
  heads: 2,
  kvHeads: 1,
  headSize: 2,
  intermediate: 6,
  normEpsilon: 1e-5,
  rope: { base: 10_000, dimensions: 2 },
  span: 1,
  fusion: "dynamic",
}

describe("dynamic gating fusion", () => {
  const matrices: Readonly<Record<string, readonly number[]>> = {
    "featureMap.weight": [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2],
    "tokenMap.weight": [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
  }

  /** @param gate logit of the feature's share, the same in every entry */
  async function fused(gate: number, token: readonly number[], feature: readonly number[]): Promise<number[]> {
    const graph = new Graph()
    const [embedded, features] = ["token", "feature"].map((name) => graph.input(name, "float32", [1, 4]))
    const linear = (x: Value, name: string): Value => {
      if (name === "mixGate.weight") return graph.constant("float32", [1, 4], [gate, gate, gate, gate])
      return matmul(x, graph.constant("float32", [4, 4], matrices[name]!))
    }
    const vector = () => graph.constant("float32", [4], [1, 1, 1, 1])
    graph.output("y", fuse(sizes, { linear, vector }, embedded!, features!))
    const runner = await openGraph(graph, { threads: 1 })
    const row = (values: readonly number[]) =>
      ({ type: "float32", shape: [1, 4], data: Float32Array.from(values) }) as const
    const { y } = await runner.run({ token: row(token), feature: row(feature) }, ["y"])
    await runner.dispose()
    return Array.from(y!.data as Float32Array)
  }

  const [token, feature] = [
    [1, -2, 3, 0.5],
    [0.1, 0.2, -0.3, 0.4],
  ]
  /** By hand: the token's branch is normalised, mapped and activated, the feature's is only mapped. */
  const length = Math.sqrt((1 + 4 + 9 + 0.25) / 4 + 1e-5)
  const branch = [-2, 1, 0.5, 3].map((value) => value / length / (1 + Math.exp(-value / length)))
  const mapped = [0.2, 0.4, -0.6, 0.8]
  const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5))

  test("a share of one ignores the token, a share of none the feature, half is the mean", async () => {
    expect(await fused(100, token, feature)).toEqual(close(mapped))
    expect(await fused(-100, token, feature)).toEqual(close(branch))
    expect(await fused(0, token, feature)).toEqual(close(mapped.map((value, i) => (value + branch[i]!) / 2)))
  })

  test("weights: 4 D² without a bias, twice as many as a linear map's", () => {
    const count = (fusion: DrafterSizes["fusion"]) =>
      [...drafterTensors({ ...sizes, fusion, layers: 0 }).values()]
        .filter((shape) => shape.length === 2)
        .reduce((sum, [rows, columns]) => sum + rows! * columns!, 0)
    expect([count("dynamic"), count("plain")]).toEqual([4 * 16, 2 * 16])
  })
})
