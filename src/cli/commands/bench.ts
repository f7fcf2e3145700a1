/** forerun bench: measures methods side by side. */
import { ForerunError } from "../../base/errors.ts"

export async function bench(): Promise<number> {
  throw new ForerunError("E_INTERNAL", "bench is not part of this build")
}
