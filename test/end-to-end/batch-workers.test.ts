/** One job, three workers, a PostgreSQL of the test's own: killed at random ten times, every request is answered once. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type FakeServer, startFakeServer } from "../../src/jobs/fake-server.ts"
import { type CliEnded, type CliProcess, runCli, startCli } from "../support/cli-process.ts"
import { hasPostgres, needsPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"
import { randomTokens, seeded } from "../support/tiny-model.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-workers-"))
const path = (name: string) => join(folder, name)
let tiny: TinyFolder
let server: FakeServer
let postgres: TestPostgres
beforeAll(async () => {
  if (!hasPostgres) return
  tiny = makeTinyFolder()
  server = await startFakeServer({ delayMs: 120 })
  postgres = await startPostgres()
})
afterAll(async () => {
  await postgres?.stop()
  await server?.close()
  tiny?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const writeJob = (name: string, prompts: readonly unknown[]) =>
  writeFileSync(
    path(name),
    prompts
      .map((prompt, i) => {
        const body = { prompt, max_tokens: 8, temperature: 1 }
        return JSON.stringify({ custom_id: `r${i}`, method: "POST", url: "/v1/completions", body })
      })
      .join("\n"),
  )

/** custom_id → answer; fails when one is there twice. */
function answers(name: string): Record<string, unknown> {
  const lines = readFileSync(path(name), "utf8").trim().split("\n")
  const entries = lines.map((line) => JSON.parse(line))
  expect(new Set(entries.map(({ custom_id }) => custom_id)).size).toBe(entries.length)
  return Object.fromEntries(entries.map(({ custom_id, response }) => [custom_id, response.body.choices]))
}
const report = ({ out }: CliEnded) => JSON.parse(out.trim().split("\n").at(-1)!)

describe.runIf(hasPostgres)(`workers ${needsPostgres}`, () => {
  test("three workers, one killed at random ten times", async () => {
    const prompts = Array.from({ length: 120 }, (_, i) => `${String.fromCharCode(97 + (i % 12)).repeat(40)} ${i}`)
    writeJob("texts.jsonl", prompts)
    const driving = ["--server", server.url, "--concurrency", "1", "--lease-seconds", "2", "--json"]
    const job = ["batch", "--in", path("texts.jsonl"), ...driving]
    const shared = [...job, "--out", path("shared.jsonl"), "--store", postgres.url]
    const commands = [shared, ...[1, 2].map(() => ["batch", "worker", "--store", postgres.url, ...driving])]

    const random = seeded(5)
    const running: (CliProcess | undefined)[] = []
    const start = (worker: number) => {
      const process = startCli(commands[worker]!)
      running[worker] = process
      process.ended.then(() => {
        if (running[worker] === process) running[worker] = undefined
      })
      return process.ended
    }
    let coordinator = start(0)
    // A worker ends when no job waits, so the others begin once the job is there.
    while (server.requests.length === 0) await sleep(20)
    for (const worker of [1, 2]) start(worker)
    let kills = 0
    while (kills < 10) {
      const before = server.requests.length
      while (server.requests.length < before + 6) await sleep(10)
      const alive = [0, 1, 2].filter((worker) => running[worker])
      const victim = alive[Math.floor(random() * alive.length)]!
      running[victim]!.child.kill("SIGKILL")
      await running[victim]?.ended
      kills++
      const ended = start(victim)
      if (victim === 0) coordinator = ended
    }
    const end = await coordinator
    expect(end).toMatchObject({ code: 0, signal: undefined })
    expect(report(end)).toMatchObject({ requests: 120, done: 120, failed: 0 })
    for (const worker of [1, 2]) if (running[worker]) expect((await running[worker]!.ended).code).toBe(0)

    const alone = await runCli([...job, "--out", path("alone.jsonl")])
    expect(alone.code).toBe(0)
    expect(answers("shared.jsonl")).toEqual(answers("alone.jsonl"))
    expect(Object.keys(answers("shared.jsonl"))).toEqual(prompts.map((_, i) => `r${i}`))
  }, 300_000)

  test("with a model: whoever samples an answer, it is the same; a worker with other weights takes nothing", async () => {
    const prefixes = [1, 2, 3, 4, 5, 6].map((seed) => randomTokens(100, 250, seed))
    writeJob(
      "tokens.jsonl",
      Array.from({ length: 36 }, (_, i) => [...prefixes[i % 6]!, i]),
    )
    const model = (weights: string) => ["-m", tiny.path, "--weights", weights, "--threads", "1", "--json"]
    const job = ["batch", "--in", path("tokens.jsonl"), ...model("f32")]
    const store = ["--store", postgres.url]
    const coordinator = startCli([...job, "--out", path("model.jsonl"), ...store])
    await sleep(1000)
    const workers = await Promise.all(
      ["f32", "q8"].map((weights) => runCli(["batch", "worker", ...store, ...model(weights)])),
    )
    expect(workers.map(({ code }) => code)).toEqual([0, 0])
    expect(report(workers[1]!)).toEqual({ answered: 0, failed: 0 })
    const end = await coordinator.ended
    expect(report(end)).toMatchObject({ requests: 36, done: 36, failed: 0, promptTokens: 36 * 101 })
    expect(report(end).prefillTokensComputed).toBe(report(end).plan.physicalTokens)
    await runCli([...job, "--out", path("model-alone.jsonl")])
    expect(answers("model.jsonl")).toEqual(answers("model-alone.jsonl"))
  }, 120_000)
})
