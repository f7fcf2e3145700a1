/** forerun tokenize: the ids of a text, without the begin token. */
import type { ModelFlags } from "../flags.ts"
import { openTokenizer } from "../open-tokenizer.ts"
import { type Output, usageError } from "../output.ts"
import { readText } from "../read-text.ts"

interface Flags extends ModelFlags {
  readonly textFile?: string
  readonly special?: boolean
}

export async function tokenize([given]: readonly (string | undefined)[], flags: Flags, output: Output) {
  if ((given === undefined) === (flags.textFile === undefined))
    throw usageError("give either a text or --text-file", "--text-file - reads standard input")
  const text = given ?? (await readText(flags.textFile!))
  const tokenizer = await openTokenizer(flags)
  const tokens = Array.from(tokenizer.encode(text, { special: flags.special ?? false }))
  if (output.json) output.object({ tokens })
  else output.text(`${tokens.join(" ")}\n`)
  return 0
}
