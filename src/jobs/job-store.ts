/** Where a job is kept while it runs: its requests in groups, and every answer as soon as there is one. */
import type { GenerateOptions } from "../generate/types.ts"
import type { Executor, GroupWork } from "./executor.ts"
import type { JobLine, JobRequest } from "./request.ts"

export interface JobRecord {
  /** Of the requests, the model and the settings: what is resumed is the same job or none. */
  readonly id: string
  /** Who may answer it: an executor's identity. */
  readonly identity: string
  /** Generation defaults, for workers elsewhere. */
  readonly defaults: GenerateOptions
  readonly plan: PlanNumbers
}

export interface PlanNumbers {
  /** What is counted: a server's tokens are not known beforehand. */
  readonly unit: Executor["unit"]
  readonly groups: number
  /** Groups that share a prefix. */
  readonly sharing: number
  readonly logicalTokens: number
  readonly physicalTokens: number
  readonly multiLevelTokens: number
}

export interface NewJob extends JobRecord {
  readonly lines: readonly JobLine[]
  /** In the order in which they are to run. */
  readonly groups: readonly PlannedWork[]
  /** Answers known from the start: of lines that hold no request, and of requests that were refused. */
  readonly answers: readonly StoredAnswer[]
}

export interface PlannedWork {
  readonly prefixLength: number
  readonly requests: readonly JobRequest[]
}

export interface StoredAnswer {
  readonly position: number
  readonly failed: boolean
  readonly promptTokens: number
  readonly computedTokens: number
  readonly completionTokens: number
  /** The line of the output. */
  readonly line: string
}

/** A group that is this worker's alone for a while; its requests are those without an answer. */
export interface Lease extends GroupWork {
  readonly group: number
  /** The store's own handle. */
  readonly handle?: string
}

export interface JobCounts {
  readonly requests: number
  readonly answered: number
  readonly failed: number
  readonly promptTokens: number
  /** Prefixes once for each time they were read, and what each request read by itself. */
  readonly computedTokens: number
  readonly completionTokens: number
}

export interface JobStore {
  /** Whether other processes may answer groups of the same job. */
  readonly isShared: boolean
  /** The job if it is there. @throws E_INPUT when the store holds another one and can hold only one */
  find(id: string): Promise<JobRecord | undefined>
  create(job: NewJob): Promise<void>
  /** The next group with requests to answer that nobody holds. */
  lease(identity: string): Promise<Lease | undefined>
  recordPrefix(lease: Lease, tokens: number): Promise<void>
  /** @returns false if the request had an answer already, which then stays */
  record(lease: Lease, answer: StoredAnswer): Promise<boolean>
  /** Gives the group back: for good, or for somebody else to go on with. */
  release(lease: Lease, isDone: boolean): Promise<void>
  /** Requests without an answer, of one job or of all jobs of an identity. */
  unanswered(of: { readonly job: string } | { readonly identity: string }): Promise<number>
  counts(job: string): Promise<JobCounts>
  /** Lines of the output, in the order of the requests. */
  results(job: string): AsyncIterable<string>
}
