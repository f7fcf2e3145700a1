/** The AI SDK on a model in this process, no server, no socket: npx tsx examples/ai-sdk.ts [model] */
import { generateText, Output, streamText } from "ai"
import { z } from "zod"
import { createForerun } from "../src/ai-sdk/index.ts"
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const forerun = createForerun({ model })

const { textStream, providerMetadata } = streamText({
  model: forerun(),
  prompt: "Write a haiku about rivers.",
  maxOutputTokens: 60,
  providerOptions: { forerun: { decoding: "lookahead" } },
})
for await (const text of textStream) process.stdout.write(text)
console.log("\n", (await providerMetadata)?.forerun)

const { output } = await generateText({
  model: forerun(),
  prompt: "Invent a trip.",
  output: Output.object({ schema: z.object({ city: z.string().max(20), days: z.int().min(1).max(14) }) }),
})
console.log(output)
await model.dispose()
