/** A request's body: JSON of bounded size and depth, or an error that says what is wrong. */
import { ApiError } from "./api-error.ts"

const deepest = 128 // levels; what is deeper is no request but an attack on whoever walks it

/** @throws ApiError 400, 408, 413, 415 */
export async function readJson(request: Request, maxBytes: number): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase()
  if (type !== "application/json") throw new ApiError(415, "the body must be application/json")
  const text = new TextDecoder("utf-8").decode(await readBytes(request, maxBytes))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ApiError(400, "the body is not JSON", { code: "invalid_json" })
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ApiError(400, "the body must be a JSON object", { code: "invalid_json" })
  checkDepth(value)
  return value as Record<string, unknown>
}

/** @throws ApiError 413, 415 */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding") ?? "identity"
  if (encoding !== "identity") throw new ApiError(415, "compressed bodies are not accepted")
  const tooLarge = new ApiError(413, `the body is larger than ${maxBytes} bytes`, { code: "body_too_large" })
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of request.body ?? []) {
    length += part.length
    if (length > maxBytes) throw tooLarge // leaving the loop cancels the rest
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Without recursion: depth is what is being bounded. */
function checkDepth(root: object): void {
  let level: object[] = [root]
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > deepest) throw new ApiError(400, `the body nests more than ${deepest} levels`, { code: "invalid_json" })
    level = level.flatMap((value) => Object.values(value).filter((one) => typeof one === "object" && one !== null))
  }
}
