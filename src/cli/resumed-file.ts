/** A file of results, a JSON line each, that an interrupted run is continued from. */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs"
import { ForerunError } from "../base/errors.ts"
import { toJson } from "./output.ts"

export interface ResumedFile {
  /** The lines that were there, by their `key`. */
  readonly done: ReadonlyMap<string, Readonly<Record<string, unknown>>>
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
    if (first) checkSettings(path, first, settings)
    const file = openSync(path, "a")
    if (fstatSync(file).size > bytes) ftruncateSync(file, bytes) // half a line, from a killed process
    if (!first) writeSync(file, `${toJson({ settings })}\n`)
    return {
      done: new Map(rest.map(({ [name]: key, ...value }) => [String(key), value])),
      append: (key, value) => void writeSync(file, `${toJson({ [name]: key, ...value })}\n`),
      close: () => closeSync(file),
    }
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ForerunError("E_IO", `cannot use ${path}: ${reason}`, { cause: thrown })
  }
}

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
