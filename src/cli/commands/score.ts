/** forerun score: how likely a model finds a given text. */
import type { EngineFlags } from "../flags.ts"
import { type Output, usageError } from "../output.ts"
import { readText } from "../read-text.ts"
import { readIds } from "../token-ids.ts"
import { withModel } from "../with-model.ts"

interface Flags extends EngineFlags {
  readonly textFile?: string
  readonly tokensFile?: string
  readonly limitTokens?: number
}

export async function score(_: readonly unknown[], flags: Flags, output: Output) {
  const { textFile, tokensFile, limitTokens } = flags
  if ((textFile === undefined) === (tokensFile === undefined))
    throw usageError("give either --text-file or --tokens-file")
  const text = await readText((textFile ?? tokensFile)!)
  const ids = tokensFile === undefined ? undefined : readIds(text)
  return withModel(flags, output, async (model, signal) => {
    // A raw prompt is plain text, with a begin token where the tokenizer puts one.
    const all = ids ?? Array.from(await model.encodePrompt(text, { raw: true }))
    const result = await model.score(limitTokens === undefined ? all : all.slice(0, limitTokens), { signal })
    if (output.json) output.object(result)
    else {
      const { tokens, meanNll, perplexity } = result
      output.text(
        `${tokens} tokens · mean negative log-likelihood ${meanNll.toFixed(4)} · perplexity ${perplexity.toFixed(3)}\n`,
      )
    }
    return 0
  })
}
