/** How many of many items are done: a bar on a terminal, a line for each tenth elsewhere. */
import cliProgress from "cli-progress"
import { hasColour } from "./terminal.ts"

export interface ItemProgress {
  update(done: number): void
  stop(): void
}

/** @param what the items, for "120 of 782 questions" */
export function createItemProgress(
  total: number,
  what: string,
  stream: NodeJS.WriteStream = process.stderr,
): ItemProgress {
  if (!stream.isTTY) return asLines(total, what, stream)
  const { shades_classic: ascii, shades_grey: coloured } = cliProgress.Presets
  const bar = new cliProgress.SingleBar(
    {
      format: `{bar} {value} of {total} ${what} · {eta_formatted} left`,
      stream,
      barsize: 24,
      clearOnComplete: true,
      hideCursor: true,
    },
    hasColour(stream) ? coloured : ascii,
  )
  bar.start(total, 0)
  return { update: (done) => bar.update(done), stop: () => bar.stop() }
}

function asLines(total: number, what: string, stream: NodeJS.WriteStream): ItemProgress {
  let reached = 0
  return {
    update(done) {
      const tenth = Math.floor((done / Math.max(1, total)) * 10)
      if (tenth <= reached) return
      reached = tenth
      stream.write(`${done} of ${total} ${what}\n`)
    },
    stop: () => {},
  }
}
