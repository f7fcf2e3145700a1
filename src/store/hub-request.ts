/** Requests to the hub: redirects followed by hand, the token kept at home, passing failures tried again. */
import { setTimeout as sleep } from "node:timers/promises"
import { ForerunError } from "../base/errors.ts"
import { abortedError, throwIfAborted } from "./io-error.ts"
import { type Environment, hubEndpoint, hubToken } from "./locations.ts"

export type HubOptions = {
  env?: Environment | undefined
  signal?: AbortSignal | undefined
  /** How often a failed request is made again; 4 unless told. */
  retries?: number | undefined
  /** First pause between tries, doubled each time; 500 ms unless told. */
  backoffMs?: number | undefined
  /** A transfer that brings nothing for this long is cut and tried again; 60 s unless told. */
  stallMs?: number | undefined
}

/** One answered request. `linked` is what huggingface.co says about a file before it sends us to its storage. */
export type HubResponse = {
  response: Response
  url: URL
  linked: { etag?: string; size?: number; commit?: string }
  /** The body, to be read here and not from `response`: failures become typed, silence is noticed. */
  chunks: () => AsyncGenerator<Uint8Array>
}

/** A failure worth another try. `asError` is what the caller sees when the tries are used up. */
export class TransientError extends Error {
  readonly asError: ForerunError
  readonly retryAfterMs: number
  constructor(asError: ForerunError, retryAfterMs = 0) {
    super(asError.message)
    this.asError = asError
    this.retryAfterMs = retryAfterMs
  }
}

type RequestInput = { method?: "GET" | "HEAD"; headers?: (url: URL) => Record<string, string> }

/** Sends one request and hands its answer to `use`; 2xx only. Throws TransientError or ForerunError. */
export async function requestHub<T>(
  address: string,
  input: RequestInput,
  options: HubOptions,
  use: (answer: HubResponse) => Promise<T>,
): Promise<T> {
  const { signal, stallMs = 60_000 } = options
  throwIfAborted(signal)
  const controller = new AbortController()
  const onAbort = () => controller.abort()
  signal?.addEventListener("abort", onAbort, { once: true })
  let stalled = false
  const timer = setTimeout(() => {
    stalled = true
    controller.abort()
  }, stallMs)
  const failure = (thrown: unknown): Error => {
    if (thrown instanceof ForerunError || thrown instanceof TransientError) return thrown
    if (signal?.aborted) return abortedError(signal)
    const why = stalled ? `nothing arrived for ${stallMs} ms` : reasonOf(thrown)
    return new TransientError(
      new ForerunError("E_DOWNLOAD", `no connection to ${plainAddress(address)}: ${why}`, {
        cause: thrown,
        hint: "check the network, or set HF_ENDPOINT to a mirror; the next run goes on where this one stopped",
      }),
    )
  }
  try {
    const answer = await follow(address, input, options, controller.signal).catch((thrown) => {
      throw failure(thrown)
    })
    const { body } = answer.response
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of body ?? []) {
          timer.refresh()
          yield chunk
        }
      } catch (thrown) {
        throw failure(thrown)
      }
    }
    return await use({ ...answer, chunks })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener("abort", onAbort)
    // A body left unread would hold its connection.
    controller.abort()
  }
}

/** Repeats `attempt` while it throws TransientError; an attempt that says it made progress does not count. */
export async function withRetries<T>(options: HubOptions, attempt: (progressed: () => void) => Promise<T>): Promise<T> {
  const { signal, retries = 4, backoffMs = 500 } = options
  let failures = 0
  while (true) {
    try {
      return await attempt(() => {
        failures = 0
      })
    } catch (thrown) {
      if (!(thrown instanceof TransientError)) throw thrown
      if (failures >= retries) throw thrown.asError
      // Jitter, so that many clients do not come back at the same moment.
      const pause = Math.min(backoffMs * 2 ** failures, 15_000) * (0.75 + Math.random() / 2)
      failures++
      await sleep(Math.max(pause, thrown.retryAfterMs), undefined, signal ? { signal } : {}).catch(() => {})
      throwIfAborted(signal)
    }
  }
}

/** An address without its query, which may hold a signature. */
export function plainAddress(address: string | URL): string {
  const url = new URL(address)
  return url.origin + url.pathname
}

async function follow(address: string, input: RequestInput, options: HubOptions, signal: AbortSignal) {
  const env = options.env ?? process.env
  const endpoint = new URL(hubEndpoint(env))
  const token = hubToken(env)
  const linked: HubResponse["linked"] = {}
  let url = new URL(address)
  for (let hop = 0; hop <= 10; hop++) {
    checkAllowed(url, endpoint)
    const headers: Record<string, string> = {
      "accept-encoding": "identity",
      "user-agent": "forerun",
      ...input.headers?.(url),
    }
    if (token !== undefined && url.origin === endpoint.origin) headers.authorization = `Bearer ${token}`
    const response = await fetch(url, { method: input.method ?? "GET", headers, redirect: "manual", signal })
    if (url.origin === endpoint.origin) readLinked(response, linked)
    // A HEAD learns all it needs from the hub; the storage behind it may refuse HEAD altogether.
    const informed = input.method === "HEAD" && response.status < 400 && linked.etag !== undefined
    if (response.status < 300 || informed) return { response, url, linked }
    await response.body?.cancel().catch(() => {})
    if (response.status >= 400) throw statusError(response, url, token !== undefined)
    const location = response.headers.get("location") ?? ""
    if (!URL.canParse(location, url.href))
      throw new ForerunError("E_DOWNLOAD", `${plainAddress(url)} redirects to nowhere`)
    url = new URL(location, url)
  }
  throw new ForerunError("E_DOWNLOAD", `${plainAddress(address)} redirects in circles`)
}

/** A hub on the internet must not send us to this machine, to plain http, or to another protocol. */
function checkAllowed(url: URL, endpoint: URL): void {
  const encrypted = url.protocol === "https:" || (url.protocol === "http:" && endpoint.protocol === "http:")
  if (encrypted && (!isLoopback(url.hostname) || isLoopback(endpoint.hostname))) return
  throw new ForerunError("E_DOWNLOAD", `refused to follow a redirect to ${url.protocol}//${url.host}`, {
    hint: "only https is followed; plain http and this machine only where HF_ENDPOINT is such an address itself",
  })
}

function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])\.?$/i.test(
    host,
  )
}

function readLinked(response: Response, linked: HubResponse["linked"]): void {
  const etag = response.headers.get("x-linked-etag")
  const size = response.headers.get("x-linked-size")
  const commit = response.headers.get("x-repo-commit")
  if (etag !== null) linked.etag ??= etag
  if (size !== null && /^\d{1,15}$/.test(size)) linked.size ??= Number(size)
  if (commit !== null) linked.commit ??= commit
}

function statusError(response: Response, url: URL, hadToken: boolean): Error {
  const { status } = response
  const message = `${plainAddress(url)} answered ${status}`
  if (status === 401 || status === 403)
    return new ForerunError("E_DOWNLOAD", message, {
      hint: hadToken
        ? "HF_TOKEN has no access here: accept the model's terms on its page, or check the repository's name"
        : "the repository is private, gated or misspelt: set HF_TOKEN to a token with read access",
    })
  if (status === 404 || status === 410)
    return new ForerunError("E_MODEL_NOT_FOUND", message, { hint: "check the repository's and the file's name" })
  if (status === 416) return new TransientError(new ForerunError("E_DOWNLOAD", message))
  const passing = status >= 500 || status === 408 || status === 425 || status === 429
  const error = new ForerunError("E_DOWNLOAD", message)
  const seconds = Number(response.headers.get("retry-after") ?? 0)
  return passing ? new TransientError(error, seconds > 0 ? Math.min(seconds, 30) * 1000 : 0) : error
}

function reasonOf(thrown: unknown): string {
  const error = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code
  return error.message || code || error.name
}
