/** A batch as it is kept and as it is told. JSON's null stands where OpenAI's format has it. */
import type { RequestUrl } from "../../jobs/request.ts"

export type BatchStatus =
  | "validating"
  | "failed"
  | "in_progress"
  | "finalizing"
  | "completed"
  | "expired"
  | "cancelling"
  | "cancelled"

export interface BatchError {
  readonly code: string
  readonly message: string
  readonly line?: number
  readonly param?: string
}

export interface Batch {
  readonly id: string
  readonly owner: string
  readonly endpoint: RequestUrl
  readonly input: string
  readonly metadata: Readonly<Record<string, string>> | null
  readonly status: BatchStatus
  /** Seconds since 1970, of each status that it has had. */
  readonly times: Readonly<Partial<Record<BatchStatus | "expires", number>>> & { readonly validating: number }
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number }
  readonly output?: string
  readonly errors?: string
  /** Why none of its requests is answered. */
  readonly failures?: readonly BatchError[]
}

const over: readonly BatchStatus[] = ["failed", "completed", "expired", "cancelled"]
export const isOver = ({ status }: Pick<Batch, "status">): boolean => over.includes(status)

export function batchObject({ times, failures, ...batch }: Batch, model: string) {
  const at = (status: BatchStatus | "expires") => times[status] ?? null
  const failed = failures?.map(({ code, message, line = null, param = null }) => ({ code, message, line, param }))
  return {
    ...{ id: batch.id, object: "batch", endpoint: batch.endpoint, model },
    errors: failed ? { object: "list", data: failed } : null,
    ...{ input_file_id: batch.input, completion_window: "24h", status: batch.status },
    ...{ output_file_id: batch.output ?? null, error_file_id: batch.errors ?? null },
    ...{ created_at: times.validating, in_progress_at: at("in_progress"), expires_at: at("expires") },
    ...{ finalizing_at: at("finalizing"), completed_at: at("completed"), failed_at: at("failed") },
    ...{ expired_at: at("expired"), cancelling_at: at("cancelling"), cancelled_at: at("cancelled") },
    request_counts: batch.counts,
    metadata: batch.metadata,
  }
}
