/** Many prompts that begin alike: npx tsx examples/batch.ts [model] */
import { loadModel } from "../src/index.ts"
import type { BatchOutcome } from "../src/methods/batch-llm/batch-llm.ts"

const model = await loadModel(process.argv[2])
const facts = "The Danube rises in the Black Forest and flows through ten countries to the Black Sea.\n"
const questions = ["The Danube rises in", "The Danube ends in", "The number of countries is"]
const requests = []
for (const question of questions)
  requests.push({ tokens: await model.encodePrompt(facts + question, { raw: true }), maxTokens: 8 })

const run = model.run<BatchOutcome>("batch-llm", { requests })
for (;;) {
  const next = await run.next()
  if (!next.done) continue // steps, as they happen
  const { completions, plan } = next.value
  for (const [i, { tokens }] of completions.entries())
    console.log(`${questions[i]}${await model.detokenize(tokens.map(({ id }) => id))}`)
  console.log(`\n${plan.physicalTokens} of ${plan.logicalTokens} prompt tokens were read`)
  break
}

await model.dispose()
