/** Whether a file can be a batch: as with OpenAI, one line that is no request and none of them is answered. */
import { isBadLine, type RequestUrl, readRequests } from "../../jobs/request.ts"
import type { BatchError } from "./batch-record.ts"

const mostTold = 100

/** @returns the number of requests, or what is wrong */
export function checkInput(text: string, endpoint: RequestUrl, most: number): number | readonly BatchError[] {
  const lines = readRequests(text)
  if (lines.length === 0) return [{ code: "empty_file", message: "the file holds no requests" }]
  if (lines.length > most)
    return [{ code: "too_many_requests", message: `a batch holds at most ${most} requests; found ${lines.length}` }]
  const errors = lines.flatMap((line): BatchError[] => {
    if (isBadLine(line)) return [{ code: "invalid_line", message: line.error.message, line: line.position + 1 }]
    if (line.url === endpoint) return []
    const message = `the batch is for ${endpoint}, the request for ${line.url}`
    return [{ code: "mismatched_url", message, line: line.position + 1, param: "url" }]
  })
  return errors.length > 0 ? errors.slice(0, mostTold) : lines.length
}
