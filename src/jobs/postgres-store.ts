/** placeholder */
import type { JobStore } from "./job-store.ts"
export declare function withPostgresStore<T>(
  target: string,
  leaseSeconds: number,
  work: (store: JobStore) => Promise<T>,
): Promise<T>
