/** What a method sees and steers: masks, hidden states, a cache, layer spans: npx tsx examples/forward-passes.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2], { weights: "f32" })
const { layers } = model.info.config

// Rows of a pass are in the cache only once they are kept.
const prompt = await model.tokenize("The little dog", { bos: true })
const cache = await model.openCache()
const first = await model.forward({ input: { tokens: prompt }, cache, want: { top: 2, hidden: [0, "final"] } })
await first.keep(Array.from(prompt.keys()))
console.log("hidden states taken:", [...first.hidden.keys()], "cached positions:", cache.length)

// A tree of three rows: the two likeliest next tokens, both after the prompt, and one more after the first of them.
const [a = 0, b = 0] = first.top!.ids
const tree = await model.forward({
  input: { tokens: Int32Array.of(a, b, a) },
  positions: Int32Array.of(prompt.length, prompt.length, prompt.length + 1),
  mask: { parents: Int32Array.of(-1, -1, 0) },
  cache,
  want: { logits: "all" },
})

// The second branch alone, in a fork: the same bits.
const fork = await cache.fork()
const alone = await model.forward({ input: { tokens: Int32Array.of(b) }, cache: fork, want: { logits: "last" } })
const row = tree.logits!.data.subarray(tree.logits!.columns, 2 * tree.logits!.columns)
console.log(
  "tree row equals the row alone:",
  row.every((value, i) => value === alone.logits!.data[i]),
)
await tree.keep([1])
console.log("cached positions:", cache.length, "and in the fork:", fork.length)

// Layers in two spans give what one pass gives.
const half = layers >> 1
const lower = await model.forward({ input: { tokens: prompt }, layers: [0, half], want: { hidden: [half] } })
const hidden = lower.hidden.get(half)!.data
const upper = await model.forward({ input: { hidden }, layers: [half, layers], want: { hidden: ["final"] } })
const whole = first.hidden.get("final")!.data
console.log(
  "two spans equal one pass:",
  upper.hidden.get("final")!.data.every((value, i) => value === whole[i]),
)

await fork.dispose()
await cache.dispose()
await model.dispose()
