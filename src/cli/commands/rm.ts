/** forerun rm: removes a model from the cache, and only from there. */
import { removeModel } from "../../store/remove.ts"
import type { CommonFlags } from "../flags.ts"
import type { Output } from "../output.ts"
import { formatBytes } from "../terminal.ts"

export async function rm([name]: readonly string[], _: CommonFlags, output: Output) {
  const removed = await removeModel(name!)
  if (output.json) output.object(removed)
  else output.text(`removed ${removed.name}: ${removed.files.length} files, ${formatBytes(removed.bytes)}\n`)
  return 0
}
