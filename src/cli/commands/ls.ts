/** forerun ls: the models on this disk, in the order in which names are looked up. */
import { listModels } from "../../store/list.ts"
import type { CommonFlags } from "../flags.ts"
import type { Output } from "../output.ts"
import { formatBytes, table } from "../terminal.ts"

export async function ls(_: readonly unknown[], _flags: CommonFlags, output: Output) {
  const models = await listModels()
  if (output.json) output.object(models)
  else if (models.length === 0) output.note("no models here yet; forerun pull smollm2-135m fetches a small one")
  else {
    const rows = models.map(({ name, source, bytes, complete, path }) => [
      name,
      complete ? formatBytes(bytes) : `${formatBytes(bytes)}, incomplete`,
      source,
      path,
    ])
    output.text(`${table(["model", "size", "from", "path"], rows)}\n`)
  }
  return 0
}
