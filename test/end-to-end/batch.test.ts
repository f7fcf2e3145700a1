/** forerun batch as a process: killed without warning and given again, interrupted, used wrongly. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { main } from "../../src/cli/main.ts"
import { type FakeServer, startFakeServer } from "../../src/jobs/fake-server.ts"
import { runCli, startCli } from "../support/cli-process.ts"
import { full } from "../support/shared.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"
import { randomTokens } from "../support/tiny-model.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-batch-"))
const path = (name: string) => join(folder, name)
let tiny: TinyFolder
let server: FakeServer
beforeAll(async () => {
  tiny = makeTinyFolder()
  server = await startFakeServer({ delayMs: 10 })
})
afterAll(async () => {
  await server.close()
  tiny.remove()
  rmSync(folder, { recursive: true, force: true })
})

const line = (id: string, prompt: unknown, more: object = {}) =>
  JSON.stringify({
    custom_id: id,
    method: "POST",
    url: "/v1/completions",
    body: { prompt, max_tokens: 24, temperature: 1, ...more },
  })
const prefixes = [1, 2, 3, 4].map((seed) => randomTokens(150, 250, seed))
writeFileSync(
  path("tokens.jsonl"),
  Array.from({ length: 40 }, (_, i) => line(`r${i}`, [...prefixes[i % 4]!, i])).join("\n"),
)
writeFileSync(
  path("texts.jsonl"),
  Array.from({ length: 60 }, (_, i) => line(`r${i}`, `${"abcd"[i % 4]!.repeat(50)} ${i}`)).join("\n"),
)

const answers = (name: string): Map<string, string> => {
  const read = readFileSync(path(name), "utf8").trim().split("\n")
  const entries = read.map((one) => JSON.parse(one))
  expect(new Set(entries.map(({ custom_id }) => custom_id)).size).toBe(entries.length)
  return new Map(entries.map(({ custom_id, response }) => [custom_id, response.body.choices[0].text]))
}
const local = (out: string) => [
  ...["batch", "--in", path("tokens.jsonl"), "--out", path(out), "-m", tiny.path],
  ...["--weights", "f32", "--threads", "1", "--json"],
]
const remote = (out: string) => [
  ...["batch", "--in", path("texts.jsonl"), "--out", path(out), "--server", server.url, "--concurrency", "2", "--json"],
]

const maxKills = full ? 10 : 2

/** Kills the job with SIGKILL whenever it has come so much further, until it ends by itself. */
async function killAgainAndAgain(args: readonly string[], atLeast: number) {
  let kills = 0
  for (;;) {
    let reached = -1
    const { ended } = startCli(args, (text, child) => {
      const counts = [...text.matchAll(/(\d+) of \d+ requests/g)].map(([, count]) => Number(count))
      if (counts.length > 0 && reached < 0) reached = counts[0]!
      if (kills < maxKills && counts.at(-1)! > reached) child.kill("SIGKILL")
    })
    const end = await ended
    if (end.signal !== "SIGKILL") {
      expect(kills).toBeGreaterThanOrEqual(atLeast)
      return { ...end, kills, report: JSON.parse(end.out.trim().split("\n").at(-1)!) }
    }
    kills++
    expect(existsSync(args[4]!)).toBe(false) // no half of an output
  }
}

describe("killed without warning and given again", () => {
  test("every request is answered exactly once, as by a run that nothing cut off", async () => {
    const whole = await runCli(local("whole.jsonl"))
    expect([whole.code, whole.err]).toEqual([0, expect.stringContaining("40 of 40")])
    const { code, kills, report } = await killAgainAndAgain([...local("killed.jsonl"), "--concurrency", "1"], 2)
    expect(code).toBe(0)
    expect(report).toMatchObject({ requests: 40, done: 40, failed: 0, promptTokens: 40 * 151 })
    // One request at a time: a group that was cut off reads its prefix again, and nothing else is read twice.
    const again = report.prefillTokensComputed - JSON.parse(whole.out).prefillTokensComputed
    expect(again % 150).toBe(0)
    expect(again / 150).toBeLessThanOrEqual(kills)
    expect(answers("killed.jsonl")).toEqual(answers("whole.jsonl"))
    expect([...answers("killed.jsonl").keys()]).toEqual(Array.from({ length: 40 }, (_, i) => `r${i}`))
  }, 240_000)

  test("what was answered is not asked of a server again", async () => {
    const { report, kills } = await killAgainAndAgain(remote("remote.jsonl"), 2)
    expect(report).toMatchObject({ requests: 60, done: 60, failed: 0 })
    expect(answers("remote.jsonl").size).toBe(60)
    // At most the two that were under way at each kill.
    expect(server.requests.length).toBeGreaterThanOrEqual(60)
    expect(server.requests.length).toBeLessThanOrEqual(60 + 2 * kills)
    const again = await runCli(remote("remote.jsonl"))
    expect(JSON.parse(again.out)).toMatchObject({ requests: 60, done: 60, tokensPerSecond: 0 })
  }, 240_000)
})

test("Ctrl-C: what is answered is written, the exit code is 130, the same command goes on", async () => {
  let isSent = false
  const { ended } = startCli(local("interrupted.jsonl"), (text, child) => {
    if (isSent || !/\b8 of 40 requests/.test(text)) return
    isSent = true
    child.kill("SIGINT")
  })
  const { code, out } = await ended
  expect(code).toBe(130)
  const { done } = JSON.parse(out)
  expect(done).toBeGreaterThanOrEqual(8)
  expect(answers("interrupted.jsonl").size).toBe(done)
  expect((await runCli(local("interrupted.jsonl"))).code).toBe(0)
  expect(answers("interrupted.jsonl")).toEqual(answers("whole.jsonl"))
}, 120_000)

describe("wrong use", () => {
  /** In this process: none of these comes to load a model. */
  const refused = async (...args: string[]) => {
    const printed = vi.spyOn(process.stdout, "write").mockReturnValue(true)
    try {
      const code = await main([...args, "--json"])
      return [code, JSON.parse(String(printed.mock.calls[0]![0])).error.code]
    } finally {
      printed.mockRestore()
    }
  }
  writeFileSync(path("empty.jsonl"), "\n\n")
  writeFileSync(path("bad.jsonl"), `{"custom_id": 3}\n${line("a", "x", { n: 0 })}`)

  test("no input, no output, an empty input, an unknown action, options that are none", async () => {
    expect(await refused("batch", "--out", path("x"))).toEqual([2, "E_USAGE"])
    expect(await refused("batch", "--in", path("tokens.jsonl"))).toEqual([2, "E_USAGE"])
    expect(await refused("batch", "--in", path("empty.jsonl"), "--out", path("x"))).toEqual([2, "E_USAGE"])
    expect(await refused("batch", "--in", path("none.jsonl"), "--out", path("x"))).toEqual([1, "E_IO"])
    expect(await refused("batch", "run")).toEqual([2, "E_USAGE"])
    expect(await refused("batch", "worker", "--store", "file.job")).toEqual([2, "E_USAGE"])
    const job = ["batch", "--in", path("tokens.jsonl"), "--out", path("x")]
    expect(await refused(...job, "--option", "plan=best")).toEqual([2, "E_OPTION"])
    expect(await refused(...job, "--server", "localhost:80")).toEqual([2, "E_USAGE"])
    expect(await refused(...job, "--temperature", "-1")).toEqual([2, "E_OPTION"])
  }, 120_000)

  test("other requests or settings for the same output are another job", async () => {
    const { code, out } = await runCli([...local("whole.jsonl"), "--option", "order=arrival"])
    expect([code, JSON.parse(out).error.code]).toEqual([1, "E_INPUT"])
  }, 60_000)

  test("bad lines fail alone, and the exit code says so", async () => {
    const args = ["batch", "--in", path("bad.jsonl"), "--out", path("bad.out"), "-m", tiny.path, "--json"]
    const { code, out } = await runCli(args)
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ requests: 2, done: 0, failed: 2, promptTokens: 0, tokensPerSecond: 0 })
    expect(readFileSync(path("bad.out"), "utf8").trim().split("\n")).toHaveLength(2)
  }, 60_000)
})
