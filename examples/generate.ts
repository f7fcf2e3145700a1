/** One answer, whole: npx tsx examples/generate.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const result = await model.generate("Name three rivers of Europe.", { maxTokens: 64, stop: ["\n\n"] })
console.log(result.text)

const { promptTokens, tokens, finishReason, timings } = result
const speed = timings.tokensPerSecond.toFixed(0)
console.log(`\n${promptTokens} prompt tokens, ${tokens.length} new ones (${finishReason}), ${speed} tokens a second`)

// The same seed gives the same tokens; without one, the seed that was drawn is in the result.
const sampled = await model.generate("Once upon a time", {
  raw: true,
  temperature: 0.8,
  topP: 0.9,
  seed: 7,
  maxTokens: 24,
})
console.log(`\nseed ${sampled.seed}: Once upon a time${sampled.text}`)

await model.dispose()
