/** Where the tests of this folder find models and golden references; not part of the package. */

import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const shared = process.env.FORERUN_SHARED ?? fileURLToPath(new URL("../../../../shared", import.meta.url))

export const goldens: string = join(shared, "goldens")
export const models: string = join(shared, "models")
export const smollm2: string = join(models, "SmolLM2-135M-Instruct.Q4_1.gguf")
/** False on machines without the shared references: tests that need them are skipped there. */
export const hasShared: boolean = existsSync(goldens)
