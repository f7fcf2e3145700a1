/** Ranks answers to a question: npx tsx examples/rank.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const input = { question: "Which of these is a river?", candidates: ["The Danube", "Mount Etna", "Lake Como"] }
const run = model.run<{ candidates: string[]; winner: Record<string, number>; residual: number }>(
  "equilibrium-ranking",
  input,
)
let next = await run.next()
while (!next.done) next = await run.next()
const { candidates, winner, residual } = next.value
for (const [ranking, index] of Object.entries(winner)) console.log(ranking.padEnd(5), candidates[index])
console.log(`distance from an equilibrium: ${residual.toFixed(4)}`)
await model.dispose()
