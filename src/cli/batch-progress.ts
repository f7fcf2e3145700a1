/** Shows how far a job is: a bar on a terminal, a line for each tenth elsewhere. */
import cliProgress from "cli-progress"
import type { JobCounts } from "../jobs/job-store.ts"
import { hasColour } from "./terminal.ts"

export interface BatchProgress {
  update(counts: Pick<JobCounts, "requests" | "answered" | "failed">): void
  stop(): void
}

export function createBatchProgress(stream: NodeJS.WriteStream = process.stderr): BatchProgress {
  return stream.isTTY ? onTerminal(stream) : asLines(stream)
}

function onTerminal(stream: NodeJS.WriteStream): BatchProgress {
  const { shades_classic: ascii, shades_grey: coloured } = cliProgress.Presets
  const bar = new cliProgress.SingleBar(
    {
      format: "{bar} {percentage} % · {value} of {total} requests{failures} · {eta_formatted} left",
      stream,
      barsize: 24,
      clearOnComplete: true,
      hideCursor: true,
    },
    hasColour(stream) ? coloured : ascii,
  )
  let isStarted = false
  return {
    update({ requests, answered, failed }) {
      const failures = failed > 0 ? `, ${failed} failed` : ""
      if (!isStarted) bar.start(requests, answered, { failures })
      isStarted = true
      bar.update(answered, { failures })
    },
    stop: () => bar.stop(),
  }
}

function asLines(stream: NodeJS.WriteStream): BatchProgress {
  let told = -1
  return {
    update({ requests, answered, failed }) {
      const tenth = Math.floor((answered / requests) * 10)
      if (tenth <= told) return
      told = tenth
      stream.write(`${answered} of ${requests} requests${failed > 0 ? `, ${failed} failed` : ""}\n`)
    },
    stop: () => {},
  }
}
