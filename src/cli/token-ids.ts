/** Token ids as people and programs write them. */
import { type ErrorCode, ForerunError } from "../base/errors.ts"

/** A JSON array, or ids between spaces or commas, as `tokenize` prints them. @throws ForerunError with `code` */
export function readIds(text: string, code: ErrorCode = "E_INPUT"): number[] {
  const words = text
    .trim()
    .replace(/^\[([^[\]]*)\]$/, "$1")
    .split(/[\s,]+/)
    .filter((word) => word !== "")
  return words.map((word) => {
    if (/^\d{1,10}$/.test(word)) return Number(word)
    throw new ForerunError(code, `${JSON.stringify(word.slice(0, 40))} is not a token id`, {
      hint: "ids are whole numbers, as forerun tokenize prints them",
    })
  })
}
