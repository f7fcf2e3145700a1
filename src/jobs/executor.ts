/** Who answers requests, a group at a time: a model in this process, or a server elsewhere. */
import type { GenerateOptions } from "../generate/types.ts"
import type { JobRequest } from "./request.ts"
import type { Answer } from "./result.ts"

/** Requests that begin alike, of one job. */
export interface GroupWork {
  readonly job: string
  /** For what a request leaves open. */
  readonly defaults: GenerateOptions
  /** In units of `encode`; 0: the requests share nothing. */
  readonly prefixLength: number
  readonly requests: readonly JobRequest[]
}

export type GroupEvent =
  /** What the group shares was read: tokens that count once. */
  | { readonly type: "prefix-read"; readonly tokens: number }
  | { readonly type: "answered"; readonly request: JobRequest; readonly answer: Answer }

export interface Executor {
  /** What answers depend on: a job is answered only by executors of the same identity. */
  readonly identity: string
  /** Groups that may be answered at the same time. */
  readonly lanes: number
  /** What `encode` gives, and so what the plan counts. */
  readonly unit: "token" | "byte"
  /**
   * The prompt as the plan sees it: what counts as shared.
   * @throws ForerunError that answers the request
   */
  encode(request: JobRequest, defaults: GenerateOptions): Promise<Int32Array>
  /** Tokens the answer may take, for the order of groups. */
  predictedTokens(request: JobRequest, defaults: GenerateOptions): number
  /**
   * Each request is answered once, in any order; a request's own failure is an answer. Ends early when aborted.
   * @throws ForerunError when no request can be answered any more: the job stops and can be resumed
   */
  answer(group: GroupWork, signal: AbortSignal): AsyncGenerator<GroupEvent, void>
}
