/** Where the tests find the golden references and real models; absent, the tests that need them are skipped by name. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const repository: string = fileURLToPath(new URL("../..", import.meta.url))
const shared = process.env.FORERUN_SHARED ?? join(repository, "..", "shared")

export const goldens: string = join(shared, "goldens")
export const models: string = join(shared, "models")
export const smollm2: string = join(models, "SmolLM2-135M-Instruct.Q4_1.gguf")
export const stories: string = join(models, "stories260k")
export const shakespeare: string = join(shared, "data", "tinyshakespeare", "input.txt")
export const hasGoldens: boolean = existsSync(goldens)
export const hasSmollm2: boolean = hasGoldens && existsSync(smollm2)
export const hasStories: boolean = hasGoldens && existsSync(stories)
/** The long versions: every golden prompt, more random cases, a thousand generations. */
export const full: boolean = process.env.FORERUN_FULL === "1"

/** Goes into the names of tests that need what may be absent, so that a list of skipped tests gives the reason. */
export const needsGoldens = "(needs ../shared/goldens)"
export const needsModels = "(needs ../shared/models)"

export interface GoldenTensor {
  readonly dtype: "f32" | "i32"
  readonly shape: readonly number[]
  readonly base64: string
}

export const readGolden = <T>(...path: string[]): T => JSON.parse(readFileSync(join(goldens, ...path), "utf8")) as T

export function floats(tensor: GoldenTensor): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(tensor.base64, "base64"))
  return new Float32Array(bytes.buffer)
}
