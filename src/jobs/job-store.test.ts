/** What every store keeps to: groups in order, one holder at a time, one answer a request, nothing lost. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { hasPostgres, needsPostgres, startPostgres, type TestPostgres } from "../../test/support/postgres.ts"
import type { JobStore, NewJob, StoredAnswer } from "./job-store.ts"
import { withStore } from "./open-store.ts"
import type { JobRequest } from "./request.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-store-"))
let postgres: TestPostgres | undefined
beforeAll(async () => {
  if (hasPostgres) postgres = await startPostgres()
})
afterAll(async () => {
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const requests = Array.from({ length: 4 }, (_, i): JobRequest => {
  const position = i + 1
  return { position, customId: `r${position}`, url: "/v1/completions", body: { prompt: `\u0000 ${position}` } }
})
const answer = (position: number, line = `line ${position}`): StoredAnswer => ({
  ...{ position, failed: position === 4, promptTokens: 10, computedTokens: 3, completionTokens: 2, line },
})

let count = 0
/** Line 0 was no request; two groups of two. Every job is somebody else's. */
function newJob(): NewJob {
  const id = `job ${++count}`
  return {
    id,
    identity: `model of ${id}`,
    defaults: { maxTokens: 5 },
    plan: { unit: "token", groups: 2, sharing: 1, logicalTokens: 40, physicalTokens: 22, multiLevelTokens: 22 },
    lines: [{ position: 0, error: undefined as never }, ...requests],
    groups: [
      { prefixLength: 7, requests: [requests[1]!, requests[3]!] },
      { prefixLength: 0, requests: [requests[0]!, requests[2]!] },
    ],
    answers: [{ ...answer(0), failed: true, promptTokens: 0, computedTokens: 0, completionTokens: 0 }],
  }
}

const open = (target: string, work: (store: JobStore) => Promise<void>) =>
  withStore(target, { signal: new AbortController().signal, leaseSeconds: 1 }, work)
const lines = async (store: JobStore, id: string) => {
  const found: string[] = []
  for await (const line of store.results(id)) found.push(line)
  return found
}

const kinds = [
  ["SQLite", true, () => join(folder, `${count + 1}.job`)],
  [`PostgreSQL ${needsPostgres}`, hasPostgres, () => postgres!.url],
] as const

describe.each(kinds)("%s", (_, isThere, target) => {
  test.runIf(isThere)("a job is found as it was made, its groups come in order, its answers too", async () => {
    const at = target()
    const job = newJob()
    await open(at, async (store) => {
      expect(await store.find(job.id)).toBeUndefined()
      await store.create(job)
      const first = (await store.lease(job.identity))!
      expect(first).toMatchObject({ job: job.id, group: 0, prefixLength: 7, defaults: { maxTokens: 5 } })
      expect(first.requests).toEqual([requests[1], requests[3]])
      const second = (await store.lease(job.identity))!
      expect(second).toMatchObject({ group: 1, prefixLength: 0 })
      expect(await store.lease(job.identity)).toBeUndefined()
      await store.recordPrefix(first, 7)
      for (const position of [4, 2]) expect(await store.record(first, answer(position))).toBe(true)
      expect(await store.record(first, answer(2, "another"))).toBe(false)
      await store.release(first, true)
      expect(await store.unanswered({ job: job.id })).toBe(2)
      expect(await store.record(second, answer(3))).toBe(true)
      await store.release(second, false)
    })
    await open(at, async (store) => {
      const { lines: _, groups: __, answers: ___, ...record } = job
      expect(await store.find(job.id)).toEqual(record)
      const rest = (await store.lease(job.identity))!
      expect(rest).toMatchObject({ group: 1, requests: [requests[0]] })
      await store.record(rest, answer(1))
      await store.release(rest, true)
      expect(await store.lease(job.identity)).toBeUndefined()
      expect(await store.unanswered({ identity: job.identity })).toBe(0)
      expect(await lines(store, job.id)).toEqual([0, 1, 2, 3, 4].map((i) => `line ${i}`))
      expect(await store.counts(job.id)).toEqual({
        ...{ requests: 5, answered: 5, failed: 2, promptTokens: 40, computedTokens: 12 + 7, completionTokens: 8 },
      })
    })
  })
})

test("SQLite: another job in the same file is refused, and so is a second process", async () => {
  const path = join(folder, "one.job")
  const job = newJob()
  await open(path, async (store) => {
    await store.create(job)
    await expect(store.find("another")).rejects.toMatchObject({ code: "E_INPUT" })
    await expect(open(path, async () => {})).rejects.toMatchObject({ code: "E_LOCKED" })
  })
}, 30_000)

test("SQLite: a file that is no database, and a folder, say so and leave nothing behind", async () => {
  const path = join(folder, "none.job")
  writeFileSync(path, "no database, but long enough to be taken for one".repeat(20))
  await expect(open(path, async () => {})).rejects.toMatchObject({ code: "E_IO" })
  expect(readdirSync(folder).filter((name) => name.startsWith("none.job"))).toEqual(["none.job"])
  await expect(open(folder, async () => {})).rejects.toMatchObject({ code: "E_IO" })
})

describe.runIf(hasPostgres)(`PostgreSQL ${needsPostgres}`, () => {
  test("the lease of a holder that is alive is kept; one that fell silent is given to another, again and again", async () => {
    const job = newJob()
    await open(postgres!.url, async (store) => {
      await store.create({ ...job, groups: job.groups.slice(0, 1) })
      const lease = (await store.lease(job.identity))!
      await sleep(3500)
      expect(await store.lease(job.identity)).toBeUndefined()
      await store.release(lease, false)
      expect((await store.lease(job.identity))!.requests).toEqual(lease.requests)
      // Ends here without giving it back, as a killed process would.
    })
    await open(postgres!.url, async (store) => {
      const deadline = Date.now() + 10_000
      let lease = await store.lease(job.identity)
      expect(lease).toBeUndefined() // not yet
      while (!lease && Date.now() < deadline) {
        await sleep(100)
        lease = await store.lease(job.identity)
      }
      expect(lease).toMatchObject({ job: job.id, group: 0 })
    })
  }, 30_000)

  test("six at once: tables and queues are made once, no group has two holders", async () => {
    const job = newJob()
    const groups = Array.from({ length: 30 }, (_, i) => ({
      prefixLength: i,
      requests: [{ ...requests[0]!, position: i }],
    }))
    const held: number[] = []
    const worker = () =>
      open(postgres!.url, async (store) => {
        await store.create({ ...job, groups, answers: [] })
        for (let lease = await store.lease(job.identity); lease; lease = await store.lease(job.identity)) {
          held.push(lease.group)
          await store.record(lease, answer(lease.group))
          await store.release(lease, true)
        }
      })
    await Promise.all(Array.from({ length: 6 }, worker))
    expect(held.sort((a, b) => a - b)).toEqual(groups.map((_, i) => i))
  }, 60_000)

  test("an address where no database answers", async () => {
    const nowhere = open("postgres://nobody:secret@127.0.0.1:1/none", async () => {})
    await expect(nowhere).rejects.toMatchObject({ code: "E_IO" })
    await expect(nowhere).rejects.not.toThrow(/secret/)
  })
})
