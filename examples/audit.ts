/** Forces the first 200 tokens of the vocabulary and shows the five that are followed most surely: npx tsx examples/audit.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const tokens = Array.from({ length: 200 }, (_, id) => id)
const run = model.run<{ scanned: { token: number; score: number; generated: number[] }[] }>("token-forcing", {
  phase: "scan",
  tokens,
})
let next = await run.next()
while (!next.done) next = await run.next()
const surest = [...next.value.scanned].sort((a, b) => b.score - a.score).slice(0, 5)
for (const { token, score, generated } of surest)
  console.log(score.toFixed(4), JSON.stringify(await model.detokenize([token, ...generated])))
await model.dispose()
