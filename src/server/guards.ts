/** Who may speak to the server at all: by Host, by Origin, by key. Pure but for the digest. */
import { createHash, timingSafeEqual } from "node:crypto"
import { isIP } from "node:net"
import { ApiError } from "./api-error.ts"
import type { ResolvedSettings } from "./settings.ts"

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/**
 * A page that got its own name to point here (DNS rebinding) still sends that name; numbers cannot be rebound.
 * @throws ApiError 403
 */
export function checkHost(host: string | null, allowed: readonly string[]): void {
  const name = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(host ?? "")?.[1]?.toLowerCase() ?? ""
  const plain = name.replace(/^\[|\]$/g, "").replace(/\.$/, "")
  if (plain === "localhost" || plain.endsWith(".localhost") || isIP(plain) !== 0) return
  if (allowed.some((one) => one.toLowerCase() === plain)) return
  throw new ApiError(403, `the host ${JSON.stringify(plain.slice(0, 60))} is not served here (--allow-host)`)
}

/** Only web pages send an Origin. @throws ApiError 403 */
export function checkOrigin(origin: string | null, allowed: readonly string[]): void {
  if (origin === null || allowed.includes(origin)) return
  throw new ApiError(403, "web pages may not call this server (--allow-origin)")
}

export interface KeyHolder {
  /** Stands for the caller in queues and metrics: never the key itself. */
  readonly caller: string
}

/** @throws ApiError 401 */
export function checkKey(headers: Headers, keys: readonly string[]): KeyHolder {
  const bearer = /^Bearer +(.+)$/i.exec(headers.get("authorization") ?? "")?.[1]
  const given = digest(bearer ?? headers.get("x-api-key") ?? "")
  if (keys.length === 0) return { caller: "anyone" }
  // All are compared, so that the time taken says nothing about which one was close.
  const matches = keys.map((key) => timingSafeEqual(digest(key), given))
  if (matches.includes(true)) return { caller: given.toString("hex").slice(0, 16) }
  throw new ApiError(401, "a key is needed: Authorization: Bearer <key>", {
    code: "invalid_api_key",
    headers: { "www-authenticate": "Bearer" },
  })
}

const corsHeaders = (origin: string): Record<string, string> => ({
  "access-control-allow-origin": origin,
  vary: "Origin",
  "access-control-expose-headers": "x-request-id, forerun-ignored, retry-after",
})

/** For the answers that an allowed page may read. */
export function crossOrigin(
  origin: string | null,
  { origins }: Pick<ResolvedSettings, "origins">,
): Record<string, string> {
  return origin !== null && origins.includes(origin) ? corsHeaders(origin) : {}
}

/** The answer to a browser that asks before it calls. */
export function preflight(origin: string | null): Response {
  const allow = {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type, x-api-key",
    "access-control-max-age": "600",
  }
  return new Response(undefined, { status: 204, headers: origin === null ? {} : { ...corsHeaders(origin), ...allow } })
}
