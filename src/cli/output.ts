/** Where a verb's words go: results to standard output, everything else to standard error; JSON when asked for. */
import { ForerunError } from "../base/errors.ts"
import { printable, type Style, styled } from "./terminal.ts"

export interface Output {
  readonly json: boolean
  /** One JSON object on a line of its own; only with --json. */
  object(value: unknown): void
  /** Text for people on standard output; only without --json. No line end is added. */
  text(text: string, style?: Style): void
  /** A remark on standard error. */
  note(text: string, style?: Style): void
  error(error: ForerunError): void
  /** One of many items failed; the others go on. */
  failure(item: { readonly id?: string | number; readonly line: number; readonly error: ForerunError }): void
}

export function createOutput(options: { json: boolean; debug: boolean }): Output {
  const { json, debug } = options
  const { stdout, stderr } = process
  const tell = (error: ForerunError) => {
    stderr.write(`${styled(`error ${error.code}:`, "red", stderr)} ${printable(error.message, stderr)}\n`)
    if (error.hint !== undefined) stderr.write(`  ${printable(error.hint, stderr)}\n`)
    if (debug) stderr.write(`${printable(stackOf(error), stderr)}\n`)
  }
  return {
    json,
    object: (value) => void stdout.write(`${toJson(value)}\n`),
    text(text, style) {
      const shown = printable(text, stdout)
      stdout.write(style === undefined ? shown : styled(shown, style, stdout))
    },
    note: (text, style = "dim") => void stderr.write(`${styled(printable(text, stderr), style, stderr)}\n`),
    error(error) {
      if (json) stdout.write(`${toJson({ error: describeError(error, debug) })}\n`)
      else tell(error)
    },
    failure({ error, ...item }) {
      if (json) stdout.write(`${toJson({ ...item, error: describeError(error, debug) })}\n`)
      else tell(error)
    },
  }
}

export const describeError = (error: ForerunError, debug = false): Record<string, unknown> => ({
  ...error.toJSON(),
  ...(debug ? { stack: stackOf(error) } : {}),
})

function stackOf(error: ForerunError): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : ""
  return `${error.stack}${cause}`
}

/** 2: the command line is at fault; 130: the user said stop; 1: everything else. */
export function exitCodeOf(error: ForerunError): number {
  if (["E_USAGE", "E_OPTION", "E_METHOD_NOT_FOUND"].includes(error.code)) return 2
  return error.code === "E_ABORTED" ? 130 : 1
}

/** Numbers that JSON lacks become null (a banned token's log-probability is minus infinity). Typed arrays become lists. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    ArrayBuffer.isView(inner) && !(inner instanceof DataView) ? Array.from(inner as Int32Array) : inner,
  )

/** To a thousandth, which is finer than any clock here. */
export const rounded = (value: number): number => Math.round(value * 1000) / 1000

export const usageError = (message: string, hint?: string): ForerunError =>
  new ForerunError("E_USAGE", message, hint === undefined ? {} : { hint })
