/** The lines of a job's input: one request a line, in OpenAI's batch format. A line that is none fails alone. */
import { ForerunError } from "../base/errors.ts"

export const requestUrls = ["/v1/chat/completions", "/v1/completions"] as const
export type RequestUrl = (typeof requestUrls)[number]

export interface JobRequest {
  /** Place among the requests, counted from 0. */
  readonly position: number
  readonly customId: string
  readonly url: RequestUrl
  readonly body: Readonly<Record<string, unknown>>
}

export interface BadLine {
  readonly position: number
  readonly customId?: string
  readonly error: ForerunError
}

export type JobLine = JobRequest | BadLine

export const isBadLine = (line: JobLine): line is BadLine => "error" in line

/** Empty lines are passed over. Of lines with the same custom_id only the first is a request. */
export function readRequests(text: string): JobLine[] {
  const lines: JobLine[] = []
  const taken = new Set<string>()
  for (const [index, source] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    if (source.trim() === "") continue
    const read = readLine(source, { line: index + 1, position: lines.length })
    const isTwin = !isBadLine(read) && taken.has(read.customId)
    lines.push(isTwin ? bad(read, `line ${index + 1}: the custom_id ${JSON.stringify(read.customId)} is taken`) : read)
    if (!isBadLine(read)) taken.add(read.customId)
  }
  return lines
}

const bad = ({ position, customId }: { position: number; customId?: string }, message: string): BadLine => ({
  position,
  ...(customId === undefined ? {} : { customId }),
  error: new ForerunError("E_INPUT", message),
})

function readLine(source: string, { line, position }: { line: number; position: number }): JobLine {
  const fail = (message: string, customId?: string) =>
    bad({ position, ...(customId === undefined ? {} : { customId }) }, `line ${line}: ${message}`)
  let value: unknown
  try {
    value = JSON.parse(source)
  } catch {
    return fail("not JSON")
  }
  if (!isObject(value)) return fail("not a JSON object")
  const { custom_id: customId, method, url, body } = value
  if (typeof customId !== "string" || customId === "") return fail("needs a custom_id, a text")
  if (method !== "POST") return fail(`the method must be POST, found ${shown(method)}`, customId)
  if (!requestUrls.includes(url as RequestUrl))
    return fail(`the url must be one of ${requestUrls.join(", ")}; found ${shown(url)}`, customId)
  if (!isObject(body)) return fail("the body must be an object", customId)
  return { position, customId, url: url as RequestUrl, body }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 60)
