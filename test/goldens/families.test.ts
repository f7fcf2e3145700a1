/** The tiny random models of ../shared/goldens, one per family, in float32 against transformers. */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { floats, type GoldenTensor, goldens, hasGoldens, needsGoldens, readGolden } from "../support/shared.ts"
import {
  cacheOf,
  greedy,
  logSumExp64,
  maxDifference,
  openRunner,
  range,
  rowOf,
  type TestRunner,
} from "../support/tiny-runner.ts"

interface CausalGolden {
  readonly input_ids: number[]
  readonly logits: GoldenTensor
  readonly hidden_states: GoldenTensor[]
  readonly greedy_new_tokens: number[]
  readonly greedy_margins: number[]
  readonly tree: { readonly parents: number[]; readonly tokens: number[]; readonly logits: GoldenTensor }
  readonly sequence_logprob: number
}
type BidirectionalGolden = Pick<CausalGolden, "input_ids" | "logits" | "hidden_states">

const causal = [
  "llama",
  "llama_tied_bias",
  "llama_rope_linear",
  "llama_rope_llama3",
  "llama_rope_yarn",
  "qwen2",
  "qwen3",
  "mistral_sliding",
  "gemma2",
  "gemma3",
  "phi3",
  "gpt2",
]

/** Float32 against float32 in another order of sums; the goldens differ from float64 by about 1e-5 themselves. */
const tolerance = 1e-4
/** Two runs in float32 may choose differently where the two best logits are this close. */
const tie = 1e-3

/** Hidden states of every layer: the golden's last one is after the final norm. */
async function everyState(opened: TestRunner, ids: readonly number[], mask: "causal" | "bidirectional") {
  const { runner } = opened
  const { layers } = runner.config
  const want = { logits: "all" as const, hidden: [...range(layers), "final" as const] }
  const pass = await runner.forward({ input: { tokens: Int32Array.from(ids) }, mask, want })
  return { logits: pass.logits!, states: want.hidden.map((layer) => pass.hidden.get(layer)!) }
}

describe.skipIf(!hasGoldens).each(causal)(`golden family %s ${needsGoldens}`, (name) => {
  let opened: TestRunner
  let golden: CausalGolden
  beforeAll(async () => {
    golden = readGolden(name, "golden.json")
    opened = await openRunner(join(goldens, name))
  })
  afterAll(() => opened.dispose())

  test("logits and the hidden state of every layer", async () => {
    const { logits, states } = await everyState(opened, golden.input_ids, "causal")
    expect([logits.rows, logits.columns]).toEqual(golden.logits.shape)
    expect(maxDifference(logits.data, floats(golden.logits))).toBeLessThan(tolerance)
    expect(states).toHaveLength(golden.hidden_states.length)
    const differences = states.map(({ data }, i) => maxDifference(data, floats(golden.hidden_states[i]!)))
    expect(differences.filter((difference) => !(difference < tolerance))).toEqual([])
  })

  test("greedy continuation", async () => {
    const { tokens } = await greedy(opened.runner, golden.input_ids, golden.greedy_new_tokens.length)
    expect(Math.min(...golden.greedy_margins)).toBeGreaterThan(tie)
    expect(tokens).toEqual(golden.greedy_new_tokens)
  })

  test("logits at the nodes of a token tree, in one masked pass", async () => {
    const { parents, tokens, logits } = golden.tree
    const cache = await cacheOf(opened.runner, golden.input_ids)
    const depth: number[] = []
    for (const parent of parents) depth.push(parent < 0 ? 0 : depth[parent]! + 1)
    const pass = await opened.runner.forward({
      input: { tokens: Int32Array.from(tokens) },
      positions: Int32Array.from(depth, (d) => golden.input_ids.length + d),
      mask: { parents: Int32Array.from(parents) },
      cache,
      want: { logits: "all" },
    })
    expect(maxDifference(pass.logits!.data, floats(logits))).toBeLessThan(tolerance)
    cache.dispose()
  })

  test("log-probability of the sequence", async () => {
    const ids = golden.input_ids
    const { logits } = await everyState(opened, ids, "causal")
    let sum = 0
    for (let i = 1; i < ids.length; i++) {
      const row = rowOf(logits.data, i - 1, logits.columns)
      sum += row[ids[i]!]! - logSumExp64(row)
    }
    expect(Math.abs(sum - golden.sequence_logprob)).toBeLessThan(1e-3)
  })
})

describe.skipIf(!hasGoldens).each(["llada", "dream"])(`golden family %s, bidirectional ${needsGoldens}`, (name) => {
  test("logits and the hidden state of every layer", async () => {
    const golden: BidirectionalGolden = readGolden(name, "golden.json")
    const opened = await openRunner(join(goldens, name))
    const { logits, states } = await everyState(opened, golden.input_ids, "bidirectional")
    expect(maxDifference(logits.data, floats(golden.logits))).toBeLessThan(tolerance)
    const differences = states.map(({ data }, i) => maxDifference(data, floats(golden.hidden_states[i]!)))
    expect(differences).toHaveLength(golden.hidden_states.length)
    expect(differences.filter((difference) => !(difference < tolerance))).toEqual([])
    // The same ids under the causal mask are something else: the mask does reach the attention.
    const masked = await everyState(opened, golden.input_ids, "causal")
    expect(maxDifference(masked.logits.data, floats(golden.logits))).toBeGreaterThan(0.1)
    await opened.dispose()
  })
})
