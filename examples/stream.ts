/** Text as it becomes certain, the steps behind it, and an abort: npx tsx examples/stream.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
const abort = new AbortController()
const run = model.stream("Tell me about the sea.", { maxTokens: 200, signal: abort.signal })

let committed = 0
for (;;) {
  const next = await run.next()
  if (next.done) {
    // An abort is not an error: what there is by then is the result.
    console.log(`\n\n${next.value.finishReason} after ${next.value.tokens.length} tokens`)
    break
  }
  const event = next.value
  if (event.type === "text-appended") process.stdout.write(event.text)
  if (event.type === "tokens-committed") committed += event.tokens.length
  if (committed >= 40) abort.abort()
}
await model.dispose()
