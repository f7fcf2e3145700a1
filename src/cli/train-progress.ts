/** Shows a run of training: a bar with loss, speed and time left on a terminal, a line for each twentieth elsewhere. */
import cliProgress from "cli-progress"
import type { TrainProgress } from "../train/trainer.ts"
import { formatSeconds, hasColour } from "./terminal.ts"

export interface TrainDisplay {
  update(progress: TrainProgress): void
  stop(): void
}

export function createTrainDisplay(stream: NodeJS.WriteStream = process.stderr): TrainDisplay {
  return stream.isTTY ? onTerminal(stream) : asLines(stream)
}

export function describeProgress({ loss, metric, tokensPerSecond, secondsLeft }: TrainProgress): string {
  const measured = metric === undefined ? "" : ` · validation ${metric.toFixed(3)}`
  return `loss ${loss.toFixed(3)}${measured} · ${tokensPerSecond.toFixed(0)} tokens/s · ${timeLeft(secondsLeft)} left`
}

function timeLeft(seconds: number): string {
  if (seconds < 90) return formatSeconds(seconds * 1000)
  const minutes = Math.round(seconds / 60)
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function onTerminal(stream: NodeJS.WriteStream): TrainDisplay {
  const { shades_classic: ascii, shades_grey: coloured } = cliProgress.Presets
  const options = { format: "{bar} {value}/{total} · {told}", stream, barsize: 20, hideCursor: true }
  const bar = new cliProgress.SingleBar(options, hasColour(stream) ? coloured : ascii)
  let started = false
  return {
    update(progress) {
      const payload = { told: describeProgress(progress) }
      if (!started) bar.start(progress.steps, progress.step, payload)
      started = true
      bar.update(progress.step, payload)
    },
    stop: () => bar.stop(),
  }
}

function asLines(stream: NodeJS.WriteStream): TrainDisplay {
  let reached = -1
  return {
    update(progress) {
      const part = Math.floor((progress.step / progress.steps) * 20)
      if (part === reached) return
      reached = part
      stream.write(`step ${progress.step}/${progress.steps} · ${describeProgress(progress)}\n`)
    },
    stop: () => {},
  }
}
