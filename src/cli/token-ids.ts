/** Token ids as people and programs write them. */
import { ForerunError } from "../base/errors.ts"

/** A JSON array, or ids between spaces or commas, as `tokenize` prints them. @throws ForerunError E_INPUT */
export function readIds(text: string): number[] {
  const words = text
    .trim()
    .replace(/^\[([^[\]]*)\]$/, "$1")
    .split(/[\s,]+/)
    .filter((word) => word !== "")
  return words.map((word) => {
    if (/^\d{1,10}$/.test(word)) return Number(word)
    throw new ForerunError("E_INPUT", `${JSON.stringify(word.slice(0, 40))} is not a token id`, {
      hint: "ids are whole numbers, as forerun tokenize prints them",
    })
  })
}
