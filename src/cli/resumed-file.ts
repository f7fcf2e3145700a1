/** A file of results, a JSON line each, that an interrupted run is continued from. */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs"
import { ForerunError } from "../base/errors.ts"
import { toJson } from "./output.ts"

/** A line as it was read: nothing is known of it yet. */
export type ResumedLine = Readonly<Record<string, unknown>>

export interface ResumedFile {
  /** Keys of the lines that were there. */
  readonly keys: ReadonlySet<string>
  /** The line that was there. @throws E_INPUT if it is not what was looked for */
  read<T>(key: string, fits: (line: ResumedLine) => line is ResumedLine & T): T | undefined
  /** Written at once, so that a killed process loses the line it was at and no other. */
  append(key: string, value: object): void
  close(): void
}

/**
 * @param settings what makes two runs comparable; it is the file's first line
 * @param name under which a line holds its key
 * @throws E_INPUT if the file was made with other settings or is no such file, E_IO
 */
export function openResumed(path: string, settings: Readonly<Record<string, unknown>>, name = "key"): ResumedFile {
  try {
    const { lines, bytes } = existsSync(path) ? wholeLines(readFileSync(path, "utf8")) : { lines: [], bytes: 0 }
    const [first, ...rest] = lines.map((line, i) => parse(path, line, i + 1))
    // Files of several processes may be joined: then the settings stand at each one's beginning.
    const heads = [first, ...rest.filter((line) => !(name in line))].filter((line) => line !== undefined)
    for (const head of heads) checkSettings(path, head, settings)
    const done = new Map(
      rest.flatMap(({ [name]: key, ...line }): [string, ResumedLine][] =>
        key === undefined ? [] : [[`${key}`, line]],
      ),
    )
    const file = openSync(path, "a")
    if (fstatSync(file).size > bytes) ftruncateSync(file, bytes) // half a line, from a killed process
    if (!first) writeSync(file, `${toJson({ settings })}\n`)
    return {
      keys: new Set(done.keys()),
      read(key, fits) {
        const line = done.get(key)
        if (line === undefined || fits(line)) return line
        throw new ForerunError("E_INPUT", `${path}: the line of ${key} is not one of our results`, hint)
      },
      append: (key, value) => void writeSync(file, `${toJson({ [name]: key, ...value })}\n`),
      close: () => closeSync(file),
    }
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `cannot use ${path}: ${reason}`, { cause: thrown })
  }
}

type Kind = "text" | "number" | "list" | "record" | "id"

const isOf: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  number: (value) => typeof value === "number" || value === null, // JSON's NaN
  list: Array.isArray,
  record: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  id: (value) => typeof value === "string" || typeof value === "number",
}

/** Whether a line has these fields. What lies deeper is trusted: the settings agreed, and lines are written whole. */
export const withFields =
  <T extends object>(fields: Readonly<Partial<Record<keyof T & string, Kind>>>) =>
  (line: ResumedLine): line is ResumedLine & T =>
    Object.entries<Kind | undefined>(fields).every(([field, kind]) => isOf[kind!](line[field]))

function wholeLines(text: string): { lines: string[]; bytes: number } {
  const end = text.lastIndexOf("\n") + 1
  const whole = text.slice(0, end)
  return { lines: whole.split("\n").filter((line) => line !== ""), bytes: Buffer.byteLength(whole) }
}

function parse(path: string, line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>
  } catch {}
  throw new ForerunError("E_INPUT", `${path}: line ${number} is not one of our results`, hint)
}

function checkSettings(path: string, first: Record<string, unknown>, settings: Readonly<Record<string, unknown>>) {
  const before = first.settings as Record<string, unknown> | undefined
  if (typeof before !== "object" || before === null)
    throw new ForerunError("E_INPUT", `${path} is not a file of results to go on from`, hint)
  const now = JSON.parse(toJson(settings)) as Record<string, unknown>
  const names = new Set([...Object.keys(before), ...Object.keys(now)])
  const changed = [...names].filter((name) => toJson(before[name]) !== toJson(now[name]))
  if (changed.length > 0)
    throw new ForerunError("E_INPUT", `${path} was made with other settings: ${changed.join(", ")}`, hint)
}

const hint = { hint: "name another file, or remove this one to begin again" }
