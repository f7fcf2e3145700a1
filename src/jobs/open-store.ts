/** From the text of --store to a store: a file, or a PostgreSQL database. */
import type { JobStore } from "./job-store.ts"

export interface StoreOptions {
  readonly signal: AbortSignal
  /** With PostgreSQL: seconds after which the group of a worker that fell silent is somebody else's. */
  readonly leaseSeconds: number
}

export const isPostgres = (target: string): boolean => /^postgres(ql)?:/.test(target)

/** @throws ForerunError E_LOCKED, E_IO */
export async function withStore<T>(
  target: string,
  { signal, leaseSeconds }: StoreOptions,
  work: (store: JobStore, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!isPostgres(target)) return (await import("./sqlite-store.ts")).withSqliteStore(target, signal, work)
  const { withPostgresStore } = await import("./postgres-store.ts")
  return withPostgresStore(target, leaseSeconds, (store) => work(store, signal))
}
