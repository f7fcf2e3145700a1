/** How likely a model finds given text: npx tsx examples/score.ts [model] */
import { loadModel } from "../src/index.ts"

const model = await loadModel(process.argv[2])
for (const text of ["Once upon a time there was a little girl.", "Girl little a was there time a upon once."]) {
  const tokens = await model.tokenize(text, { bos: true })
  const { logprobs, meanNll, perplexity } = await model.score(tokens)
  // The first token is given, so it has no log-probability.
  const least = logprobs.indexOf(Math.min(...logprobs)) + 1
  const piece = JSON.stringify(await model.detokenize([tokens[least]!]))
  console.log(
    `${text}\n  mean nll ${meanNll.toFixed(3)}, perplexity ${perplexity.toFixed(1)}, least expected: ${piece}`,
  )
}
await model.dispose()
