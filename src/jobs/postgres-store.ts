/** Jobs in PostgreSQL, for several machines: pg-boss leases groups, and an answer is recorded once whoever gives it. */
import { createHash } from "node:crypto"
import type { Pool, PoolClient } from "pg"
import type PgBoss from "pg-boss"
import { ForerunError } from "../base/errors.ts"
import type { JobCounts, JobRecord, JobStore, Lease, NewJob, StoredAnswer } from "./job-store.ts"
import { connect, createTables, inTurn, queueSchema, type Sql, transaction } from "./postgres-tables.ts"
import { storedAnswer } from "./prepare-job.ts"
import type { JobRequest } from "./request.ts"
import { refused } from "./result.ts"

/** A group whose workers were lost this often is given up: it may be what kills them. */
const maxLosses = 25

/**
 * @param target postgres://…
 * @param leaseSeconds after which the group of a worker that fell silent is somebody else's
 * @throws ForerunError E_IO
 */
export async function withPostgresStore<T>(
  target: string,
  leaseSeconds: number,
  work: (store: JobStore) => Promise<T>,
): Promise<T> {
  const pool = await connect(target)
  const { default: Boss } = await import("pg-boss")
  const boss = new Boss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema: queueSchema,
    schedule: false,
    maintenanceIntervalSeconds: Math.max(1, Math.floor(leaseSeconds / 4)),
  })
  boss.on("error", () => {}) // its upkeep runs again; what a job needs is asked for by queries of our own
  try {
    await createTables(pool)
    await boss.start()
    const store = new PostgresStore(pool, boss, leaseSeconds)
    try {
      return await work(store)
    } finally {
      store.close()
    }
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `the database: ${reason}`, { cause: thrown })
  } finally {
    await boss.stop({ graceful: false, wait: false }).catch(() => {})
    await pool.end().catch(() => {})
  }
}

interface Held {
  readonly job: string
  readonly group: number
}

class PostgresStore implements JobStore {
  readonly isShared = true
  readonly #pool: Pool
  readonly #boss: PgBoss
  readonly #leaseSeconds: number
  readonly #queues = new Map<string, string>()
  readonly #heartbeats = new Map<string, NodeJS.Timeout>()

  constructor(pool: Pool, boss: PgBoss, leaseSeconds: number) {
    this.#pool = pool
    this.#boss = boss
    this.#leaseSeconds = leaseSeconds
  }

  async find(id: string): Promise<JobRecord | undefined> {
    const [row] = await this.#rows<{ record: string }>("select record from forerun.job where id = $1", [id])
    return row && JSON.parse(row.record)
  }

  async create({ lines, groups, answers, ...record }: NewJob): Promise<void> {
    const queue = await this.#queue(record.identity)
    await transaction(this.#pool, async (client) => {
      const values = [record.id, record.identity, JSON.stringify(record), lines.length]
      const sql =
        "insert into forerun.job (id, identity, record, requests) values ($1, $2, $3, $4) on conflict do nothing"
      if ((await client.query(sql, values)).rowCount === 0) return // somebody began the same job at the same time
      for (const [number, { prefixLength, requests }] of groups.entries()) {
        await client.query("insert into forerun.planned values ($1, $2, $3)", [record.id, number, prefixLength])
        const rows = requests.map((request) => ({ position: request.position, request: JSON.stringify(request) }))
        await client.query(
          `insert into forerun.request select $1, position, $2, request
            from json_to_recordset($3) as row (position integer, request text)`,
          [record.id, number, JSON.stringify(rows)],
        )
      }
      for (const answer of answers) await insert(client, record.id, answer)
      await this.#enqueue(client, { queue, job: record.id, groups: groups.length })
    })
  }

  async lease(identity: string): Promise<Lease | undefined> {
    const queue = await this.#queue(identity)
    for (const lost of await this.#boss.fetch<Held>(graveyard(queue), { batchSize: 10 }))
      await this.#giveUp(queue, lost)
    for (;;) {
      const [found] = await this.#boss.fetch<Held>(queue)
      if (found === undefined) return undefined
      const { job, group } = found.data
      const requests = await this.#waiting({ job, group })
      const [row] = await this.#rows<{ record: string; prefix_length: number }>(
        `select record, prefix_length from forerun.job join forerun.planned on job = id where id = $1 and number = $2`,
        [job, group],
      )
      if (row === undefined || requests.length === 0) {
        await this.#boss.complete(queue, found.id)
        continue
      }
      this.#keepAlive(queue, found.id)
      const { defaults } = JSON.parse(row.record) as JobRecord
      return { job, defaults, group, prefixLength: row.prefix_length, requests, handle: `${queue} ${found.id}` }
    }
  }

  async recordPrefix({ job }: Lease, tokens: number): Promise<void> {
    await this.#rows("update forerun.job set prefix_tokens = prefix_tokens + $2 where id = $1", [job, tokens])
  }

  record({ job }: Lease, answer: StoredAnswer): Promise<boolean> {
    return insert(this.#pool, job, answer)
  }

  async release({ handle }: Lease, isDone: boolean): Promise<void> {
    const [queue, id] = handle!.split(" ") as [string, string]
    clearInterval(this.#heartbeats.get(id))
    this.#heartbeats.delete(id)
    if (isDone) await this.#boss.complete(queue, id)
    else await this.#boss.fail(queue, id) // waits for the next worker from now on
  }

  async unanswered(of: { readonly job: string } | { readonly identity: string }): Promise<number> {
    const [where, value] = "job" in of ? ["id = $1", of.job] : ["identity = $1", of.identity]
    const [row] = await this.#rows<{ n: string }>(
      `select coalesce(sum(requests - (select count(*) from forerun.answer where job = id)), 0) as n
        from forerun.job where ${where}`,
      [value],
    )
    return Number(row!.n)
  }

  async counts(job: string): Promise<JobCounts> {
    const [row] = await this.#rows<Record<keyof JobCounts, string>>(
      `select requests, count(position) as answered, count(*) filter (where failed) as failed,
        coalesce(sum(prompt_tokens), 0) as "promptTokens",
        coalesce(sum(completion_tokens), 0) as "completionTokens",
        coalesce(sum(computed_tokens), 0) + prefix_tokens as "computedTokens"
        from forerun.job left join forerun.answer on job = id where id = $1 group by id`,
      [job],
    )
    const entries = Object.entries(row!).map(([name, value]) => [name, Number(value)])
    return Object.fromEntries(entries) as Record<keyof JobCounts, number>
  }

  async *results(job: string): AsyncGenerator<string> {
    for (let after = -1; ; ) {
      const rows = await this.#rows<{ position: number; line: string }>(
        "select position, line from forerun.answer where job = $1 and position > $2 order by position limit 500",
        [job, after],
      )
      if (rows.length === 0) return
      for (const { line } of rows) yield line
      after = rows.at(-1)!.position
    }
  }

  close(): void {
    for (const timer of this.#heartbeats.values()) clearInterval(timer)
  }

  /** One queue for all that may answer the same jobs, and one for groups that were given up. */
  async #queue(identity: string): Promise<string> {
    const name = `forerun-${createHash("sha256").update(identity).digest("hex").slice(0, 16)}`
    if (!this.#queues.has(identity)) {
      // pg-boss makes a table for each, and two who do so at once lock each other out.
      await inTurn(this.#pool, async () => {
        for (const queue of [graveyard(name), name]) await this.#boss.createQueue(queue)
      })
      this.#queues.set(identity, name)
    }
    return name
  }

  async #enqueue(client: PoolClient, { queue, job, groups }: { queue: string; job: string; groups: number }) {
    const jobs = Array.from({ length: groups }, (_, group) => ({
      name: queue,
      data: { job, group } satisfies Held,
      priority: -group, // in the plan's order
      expireInSeconds: this.#leaseSeconds,
      retryLimit: maxLosses,
      deadLetter: graveyard(queue),
    }))
    const db = { executeSql: (text: string, values: unknown[]) => client.query(text, values) }
    for (let from = 0; from < groups; from += 1000) await this.#boss.insert(jobs.slice(from, from + 1000), { db })
  }

  #keepAlive(queue: string, id: string): void {
    // This version of pg-boss has no heartbeat; its lease runs from `started_on`.
    const sql = `update ${queueSchema}.job set started_on = now() where name = $1 and id = $2 and state = 'active'`
    const beat = () => void this.#pool.query(sql, [queue, id]).catch(() => {})
    this.#heartbeats.set(id, setInterval(beat, (this.#leaseSeconds * 1000) / 4).unref())
  }

  async #waiting({ job, group }: Held): Promise<JobRequest[]> {
    const rows = await this.#rows<{ request: string }>(
      `select request from forerun.request r where job = $1 and planned = $2 and not exists (
        select 1 from forerun.answer a where a.job = r.job and a.position = r.position) order by position`,
      [job, group],
    )
    return rows.map(({ request }) => JSON.parse(request))
  }

  async #giveUp(queue: string, { id, data }: { id: string; data: Held }): Promise<void> {
    const error = new ForerunError(
      "E_RUNTIME",
      `given up: ${maxLosses} workers were lost while they answered its group`,
    )
    for (const request of await this.#waiting(data))
      await insert(this.#pool, data.job, storedAnswer(data.job, request, refused(error, 500)))
    await this.#boss.complete(graveyard(queue), id)
  }

  async #rows<Row extends object>(sql: string, values: unknown[]): Promise<Row[]> {
    return (await this.#pool.query<Row>(sql, values)).rows
  }
}

const graveyard = (queue: string): string => `${queue}-lost`

async function insert(sql: Sql, job: string, answer: StoredAnswer): Promise<boolean> {
  const { position, failed, promptTokens, computedTokens, completionTokens, line } = answer
  const inserted = await sql.query(
    "insert into forerun.answer values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    [job, position, failed, promptTokens, computedTokens, completionTokens, line],
  )
  return inserted.rowCount === 1
}
