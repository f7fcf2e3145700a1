/** The tables jobs have in PostgreSQL, and how to get at them. */
import type { Pool, PoolClient } from "pg"
import { ForerunError } from "../base/errors.ts"

export type Sql = Pick<PoolClient, "query">

/** Where pg-boss keeps its queues. */
export const queueSchema = "forerun_queue"

// Requests and answers are text: jsonb refuses the character U+0000, which a request may hold.
const tables = `
  create schema if not exists forerun;
  create table if not exists forerun.job (
    id text primary key, identity text not null, record text not null, requests integer not null,
    prefix_tokens bigint not null default 0, created timestamptz not null default now());
  create table if not exists forerun.planned (
    job text references forerun.job on delete cascade, number integer, prefix_length integer not null,
    primary key (job, number));
  create table if not exists forerun.request (
    job text references forerun.job on delete cascade, position integer, planned integer not null,
    request text not null, primary key (job, position));
  create index if not exists request_planned on forerun.request (job, planned);
  create table if not exists forerun.answer (
    job text references forerun.job on delete cascade, position integer, failed boolean not null,
    prompt_tokens integer not null, computed_tokens integer not null, completion_tokens integer not null,
    line text not null, primary key (job, position));`

/** @throws ForerunError E_IO when the database cannot be reached; the message never holds its password */
export async function connect(target: string): Promise<Pool> {
  const { default: pg } = await import("pg")
  const pool = new pg.Pool({ connectionString: target, max: 4, application_name: "forerun" })
  pool.on("error", () => {}) // an idle connection was cut; the next query opens another or fails by itself
  try {
    await pool.query("select 1")
    return pool
  } catch (thrown) {
    await pool.end().catch(() => {})
    const reason = thrown instanceof Error && thrown.message !== "" ? thrown.message : "no connection"
    throw new ForerunError("E_IO", `cannot reach the database: ${reason}`, { cause: thrown })
  }
}

/** `if not exists` is no protection against two who create at once. */
export const createTables = (pool: Pool): Promise<void> =>
  inTurn(pool, async (client) => {
    await client.query(tables)
  })

/** One process at a time, of all that use the database. */
export const inTurn = (pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> =>
  transaction(pool, async (client) => {
    await client.query("select pg_advisory_xact_lock(7068765)") // our own number
    await work(client)
  })

export async function transaction(pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query("begin")
    await work(client)
    await client.query("commit")
  } catch (thrown) {
    await client.query("rollback").catch(() => {})
    throw thrown
  } finally {
    client.release()
  }
}
