/** forerun pull: downloads a model, or goes on with a download that was cut off. */
import { pullModel } from "../../store/pull.ts"
import type { CommonFlags } from "../flags.ts"
import { catchInterrupt } from "../interrupt.ts"
import type { Output } from "../output.ts"
import { createProgress } from "../progress.ts"
import { formatBytes } from "../terminal.ts"

interface Flags extends CommonFlags {
  readonly offline?: boolean
}

export async function pull([model]: readonly string[], flags: Flags, output: Output) {
  const interrupt = catchInterrupt()
  const progress = createProgress()
  try {
    const pulled = await pullModel(model!, {
      offline: flags.offline,
      signal: interrupt.signal,
      onProgress: ({ file, received, total }) =>
        progress.update({ stage: "downloading", file, received, ...(total === undefined ? {} : { total }) }),
    })
    progress.stop()
    if (output.json) output.object(pulled)
    else {
      const bytes = pulled.files.reduce((sum, file) => sum + file.bytes, 0)
      const isNew = pulled.files.some((file) => file.downloaded)
      output.text(`${pulled.path}\n`)
      output.note(`${pulled.repo} · ${formatBytes(bytes)} · ${isNew ? `from ${pulled.source}` : "was there already"}`)
    }
    return 0
  } finally {
    progress.stop()
    interrupt.release()
  }
}
