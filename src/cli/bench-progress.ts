/** Progress of a measurement: a line each time another tenth is done. */
import type { BenchProgress } from "../bench/types.ts"
import type { Output } from "./output.ts"

export function createReporter(output: Output): (progress: BenchProgress) => void {
  let told = ""
  return ({ stage, done, total }) => {
    const line = `${stage}: ${Math.floor((done / Math.max(1, total)) * 10) * 10} %`
    if (line !== told) output.note(line)
    told = line
  }
}
