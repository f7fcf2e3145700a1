/** One job in one file beside its output: embedded SQLite, every answer a transaction of its own. */
import { rmSync } from "node:fs"
import type { BindValues, Database } from "node-sqlite3-wasm"
import { ForerunError } from "../base/errors.ts"
import { withLock } from "../store/blob-lock.ts"
import type { JobCounts, JobRecord, JobStore, Lease, NewJob, StoredAnswer } from "./job-store.ts"
import type { JobRequest } from "./request.ts"

/** Every answer is on the disk before the next; nobody else opens the file, so its lock need not be let go between. */
const schema = `
  pragma locking_mode = exclusive;
  pragma journal_mode = truncate;
  pragma synchronous = full;
  create table if not exists job (id text primary key, record text not null, prefix_tokens integer not null default 0);
  create table if not exists planned (number integer primary key, prefix_length integer not null);
  create table if not exists request (
    position integer primary key, planned integer not null references planned, request text not null);
  create index if not exists request_of_planned on request (planned);
  create table if not exists line (position integer primary key);
  create table if not exists answer (
    position integer primary key, failed integer not null, prompt_tokens integer not null,
    computed_tokens integer not null, completion_tokens integer not null, line text not null);`

const unanswered = "not exists (select 1 from answer where answer.position = request.position)"

/**
 * Runs `work` with the store in `path`, which no other process may use meanwhile.
 * @throws ForerunError E_LOCKED, E_IO
 */
export async function withSqliteStore<T>(
  path: string,
  signal: AbortSignal,
  work: (store: JobStore, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // A process that was killed leaves its lock to go stale: wait a little longer than that takes.
  return withLock(`${path}.owner`, { signal, staleMs: 4000, timeoutMs: 8000 }, async (held) => {
    // The library's own lock is a folder, which outlives a process that was killed. Here nobody else can hold it.
    rmSync(`${path}.lock`, { recursive: true, force: true })
    const { Database } = (await import("node-sqlite3-wasm")).default
    const database = wrapErrors(path, () => {
      const opened = new Database(path)
      try {
        opened.exec(schema)
        return opened
      } catch (thrown) {
        opened.close() // takes the library's lock away
        throw thrown
      }
    })
    try {
      return await work(new SqliteStore(database, path), held)
    } finally {
      database.close()
    }
  })
}

class SqliteStore implements JobStore {
  readonly isShared = false
  readonly #database: Database
  readonly #path: string
  /** Groups are handed out once in a process: one that was given back waits for the next. */
  #nextGroup = 0

  constructor(database: Database, path: string) {
    this.#database = database
    this.#path = path
  }

  async find(id: string): Promise<JobRecord | undefined> {
    const [row] = this.#all<{ id: string; record: string }>("select id, record from job")
    if (row === undefined) return undefined
    if (row.id === id) return JSON.parse(row.record)
    throw new ForerunError("E_INPUT", `${this.#path} holds another job: other requests, model or settings`, {
      hint: "run it as it was begun to resume it, choose another --out, or delete the file to begin anew",
    })
  }

  async create({ lines, groups, answers, ...record }: NewJob): Promise<void> {
    this.#transaction(() => {
      this.#run("insert into job (id, record) values (?, ?)", [record.id, JSON.stringify(record)])
      for (const { position } of lines) this.#run("insert into line values (?)", [position])
      for (const [number, { prefixLength, requests }] of groups.entries()) {
        this.#run("insert into planned values (?, ?)", [number, prefixLength])
        for (const request of requests)
          this.#run("insert into request values (?, ?, ?)", [request.position, number, JSON.stringify(request)])
      }
      for (const answer of answers) this.#insert(answer)
    })
  }

  async lease(): Promise<Lease | undefined> {
    const [next] = this.#all<{ number: number; prefix_length: number }>(
      `select number, prefix_length from planned where number >= ? and exists (
        select 1 from request where planned = number and ${unanswered}) order by number limit 1`,
      [this.#nextGroup],
    )
    if (next === undefined) return undefined
    this.#nextGroup = next.number + 1
    const rows = this.#all<{ request: string }>(
      `select request from request where planned = ? and ${unanswered} order by position`,
      [next.number],
    )
    const requests = rows.map(({ request }): JobRequest => JSON.parse(request))
    const { id, defaults } = this.#record()
    return { job: id, defaults, group: next.number, prefixLength: next.prefix_length, requests }
  }

  async recordPrefix(_: Lease, tokens: number): Promise<void> {
    this.#run("update job set prefix_tokens = prefix_tokens + ?", [tokens])
  }

  async record(_: Lease, answer: StoredAnswer): Promise<boolean> {
    return this.#insert(answer)
  }

  async release(): Promise<void> {}

  async unanswered(): Promise<number> {
    const [row] = this.#all<{ n: number }>(`select count(*) as n from request where ${unanswered}`)
    return Number(row!.n)
  }

  async counts(): Promise<JobCounts> {
    const [row] = this.#all<Record<keyof JobCounts, number>>(
      `select (select count(*) from line) as requests, count(*) as answered, coalesce(sum(failed), 0) as failed,
        coalesce(sum(prompt_tokens), 0) as promptTokens, coalesce(sum(completion_tokens), 0) as completionTokens,
        coalesce(sum(computed_tokens), 0) + (select prefix_tokens from job) as computedTokens from answer`,
    )
    return row!
  }

  async *results(): AsyncGenerator<string> {
    for (const { line } of this.#all<{ line: string }>("select line from answer order by position")) yield line
  }

  #record(): JobRecord {
    return JSON.parse(this.#all<{ record: string }>("select record from job")[0]!.record)
  }

  #insert({ position, failed, promptTokens, computedTokens, completionTokens, line }: StoredAnswer): boolean {
    const values = [position, failed ? 1 : 0, promptTokens, computedTokens, completionTokens, line]
    return this.#run("insert into answer values (?, ?, ?, ?, ?, ?) on conflict do nothing", values) > 0
  }

  #run(sql: string, values: BindValues): number {
    return wrapErrors(this.#path, () => Number(this.#database.run(sql, values).changes))
  }

  #all<Row>(sql: string, values?: BindValues): Row[] {
    return wrapErrors(this.#path, () => this.#database.all(sql, values) as Row[])
  }

  #transaction(work: () => void): void {
    wrapErrors(this.#path, () => this.#database.exec("begin immediate"))
    try {
      work()
      wrapErrors(this.#path, () => this.#database.exec("commit"))
    } catch (thrown) {
      if (this.#database.inTransaction) this.#database.exec("rollback")
      throw thrown
    }
  }
}

function wrapErrors<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `the job's file ${path}: ${reason}`, { cause: thrown })
  }
}
