/** Races four samples of one prompt: npx tsx examples/race.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const tokens = await model.encodePrompt("Is 91 a prime number? Think briefly, then answer.")
const run = model.run<{ text: string; winners: number[]; sequentialTokens: number; totalTokens: number }>(
  "first-finish",
  { tokens },
  { options: { lanes: 4 }, temperature: 0.6, topP: 0.95, seed: 1, maxTokens: 200 },
)
let next = await run.next()
while (!next.done) {
  const step = next.value
  if (step.type === "branch-ended") console.log(`lane ${step.branch}: ${step.reason}`)
  next = await run.next()
}
const { text, winners, sequentialTokens, totalTokens } = next.value
console.log(`${text}\n\nlane ${winners[0]}, ${sequentialTokens} tokens in sequence, ${totalTokens} in all`)
await model.dispose()
