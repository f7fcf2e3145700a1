/** Shows what loading a model is busy with: a bar or a passing line on a terminal, plain lines elsewhere. */
import cliProgress from "cli-progress"
import type { LoadProgress } from "../generate/types.ts"
import { escapeControls, formatBytes, hasColour } from "./terminal.ts"

export interface Progress {
  update(progress: LoadProgress): void
  /** Clears what is only passing. */
  stop(): void
}

const words = {
  hashing: "checking the file's sha256",
  converting: "converting the weights, once",
} as const

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? onTerminal(stream) : asLines(stream)
}

function onTerminal(stream: NodeJS.WriteStream): Progress {
  let bar: cliProgress.SingleBar | undefined
  let hasLine = false
  const clear = () => {
    bar?.stop()
    bar = undefined
    if (hasLine) stream.write("\r\u001b[K")
    hasLine = false
  }
  return {
    update({ stage, received, total, file }) {
      if (stage === "downloading" && total !== undefined && received !== undefined) {
        if (!bar) {
          clear()
          bar = newBar(stream, escapeControls(file ?? ""))
          bar.start(total, received, sizes(received, total))
        }
        bar.setTotal(total)
        bar.update(received, sizes(received, total))
        return
      }
      clear()
      if (stage !== "hashing" && stage !== "converting") return
      stream.write(`${words[stage]} …`)
      hasLine = true
    },
    stop: clear,
  }
}

const sizes = (received: number, total: number) => ({ at: formatBytes(received), of: formatBytes(total) })

function newBar(stream: NodeJS.WriteStream, file: string): cliProgress.SingleBar {
  const name = file.length > 40 ? `…${file.slice(-39)}` : file
  const { shades_classic: ascii, shades_grey: coloured } = cliProgress.Presets
  return new cliProgress.SingleBar(
    {
      format: `${name} {bar} {percentage} % · {at} of {of} · {eta_formatted} left`,
      stream,
      barsize: 24,
      clearOnComplete: true,
      hideCursor: true,
    },
    hasColour(stream) ? coloured : ascii,
  )
}

/** A line for each stage, and for each tenth of a download. */
function asLines(stream: NodeJS.WriteStream): Progress {
  const told = new Set<string>()
  const reached = new Map<string, number>()
  const tell = (line: string) => {
    if (told.has(line)) return
    told.add(line)
    stream.write(`${line}\n`)
  }
  return {
    update({ stage, received = 0, total, file = "" }) {
      if (stage === "hashing" || stage === "converting") tell(words[stage])
      if (stage !== "downloading") return
      const name = escapeControls(file)
      if (!total) return tell(`downloading ${name}`)
      const tenth = Math.floor((received / total) * 10)
      if (tenth <= (reached.get(file) ?? -1)) return // a report may arrive late
      reached.set(file, tenth)
      tell(`downloading ${name}: ${tenth * 10} % of ${formatBytes(total)}`)
    },
    stop: () => {},
  }
}
