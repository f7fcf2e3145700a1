/** forerun detokenize: the text of token ids. */
import type { ModelFlags } from "../flags.ts"
import { openTokenizer } from "../open-tokenizer.ts"
import type { Output } from "../output.ts"
import { readIds } from "../token-ids.ts"

interface Flags extends ModelFlags {
  readonly special: boolean
}

export async function detokenize([words]: readonly string[][], flags: Flags, output: Output) {
  const ids = readIds(words!.join(" "), "E_USAGE")
  const text = (await openTokenizer(flags)).decode(ids, { skipSpecial: !flags.special })
  if (output.json) output.object({ text })
  else output.text(`${text}\n`)
  return 0
}
