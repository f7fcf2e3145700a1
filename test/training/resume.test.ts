/** A run killed again and again ends with the very weights of an uninterrupted one. */
import { type ChildProcess, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import type { TrainResult } from "../../src/train/trainer.ts"
import { repository } from "../support/shared.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-resume-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const text = join(scratch, "text.txt")
writeFileSync(text, "the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs. ".repeat(60))

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly steps: readonly number[]
  readonly result: TrainResult | undefined
}

/** Trains in a process of its own; `at` is called at each step's line. */
function run(folder: string, seed: number, resume: boolean, at?: (step: number, child: ChildProcess) => void) {
  const script = join(repository, "test", "support", "train-tiny.ts")
  const child = spawn(
    process.execPath,
    ["--import", "tsx", script, folder, text, String(seed), ...(resume ? ["resume"] : [])],
    { cwd: repository, stdio: ["ignore", "pipe", "inherit"] },
  )
  let output = ""
  const steps: number[] = []
  child.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString()
    const seen = [...output.matchAll(/^step (\d+)$/gm)].map(([, step]) => Number(step))
    for (const step of seen.slice(steps.length)) {
      steps.push(step)
      at?.(step, child)
    }
  })
  return new Promise<Ended>((resolve) => {
    child.on("close", (_, signal) => {
      const line = output.split("\n").find((each) => each.startsWith("{"))
      resolve({ signal, steps, result: line === undefined ? undefined : (JSON.parse(line) as TrainResult) })
    })
  })
}

const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")

describe("a run that is stopped", () => {
  test("by SIGKILL, twice, goes on to the same bits", async () => {
    const [whole, broken] = [join(scratch, "whole"), join(scratch, "broken")]
    const straight = await run(whole, 7, false)
    expect(straight.result).toMatchObject({ steps: 40, end: "done" })

    const first = await run(broken, 7, true, (step, child) => step === 12 && child.kill("SIGKILL"))
    const second = await run(broken, 7, true, (step, child) => step === 27 && child.kill("SIGKILL"))
    const last = await run(broken, 7, true)

    expect([first.signal, second.signal]).toEqual(["SIGKILL", "SIGKILL"])
    expect(first.result).toBeUndefined()
    // It went on from a checkpoint, not from the start, and did each remaining step.
    expect(second.steps[0]).toBeGreaterThan(1)
    expect(last.steps[0]).toBeGreaterThan(12)
    expect(last.result).toMatchObject({ steps: 40, end: "done" })
    expect(last.result!.weights.sha256).toBe(straight.result!.weights.sha256)
    expect(last.result!.loss).toEqual(straight.result!.loss)
    expect(last.result!.metric).toEqual(straight.result!.metric)
    expect(digest(join(broken, "weights.safetensors"))).toBe(straight.result!.weights.sha256)
    // Another seed gives other weights, so the equality above means something.
    const other = await run(join(scratch, "other"), 8, false)
    expect(other.result!.weights.sha256).not.toBe(straight.result!.weights.sha256)
  }, 300_000)

  test("by Ctrl-C ends with a checkpoint and goes on from exactly there", async () => {
    const folder = join(scratch, "asked")
    const stopped = await run(folder, 7, false, (step, child) => step === 10 && child.kill("SIGINT"))
    expect(stopped.result).toMatchObject({ end: "abort" })
    const at = stopped.result!.steps
    expect(at).toBeGreaterThanOrEqual(10)
    expect(at).toBeLessThan(40)
    expect(existsSync(join(folder, "checkpoint.safetensors"))).toBe(true)
    const rest = await run(folder, 7, true)
    expect(rest.steps[0]).toBe(at + 1)
    expect(rest.result!.weights.sha256).toBe(digest(join(scratch, "whole", "weights.safetensors")))
  }, 300_000)
})
