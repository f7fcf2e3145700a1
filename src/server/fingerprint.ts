/** What an answer depends on beside the request: another fingerprint may mean other answers. */
import { createHash } from "node:crypto"
import type { ModelInfo } from "../generate/types.ts"

export function fingerprint({ architecture, config, weights, draft }: ModelInfo): string {
  const text = JSON.stringify({ architecture, config, weights, draft: draft?.weights })
  return `fp_${createHash("sha256").update(text).digest("hex").slice(0, 12)}`
}
