/** One request to an OpenAI-compatible server: tried again when that may help, and told apart from the request's own fault. */
import { setTimeout as sleep } from "node:timers/promises"
import { asForerunError, ForerunError } from "../base/errors.ts"
import { isObject } from "./request.ts"

export interface ServerOptions {
  /** http://host:port, with or without /v1. */
  readonly url: string
  readonly apiKey?: string
  /** Milliseconds before the first new try, doubled for each further one; default 500. */
  readonly retryMs?: number
}

export interface ServerReply {
  readonly status: number
  readonly body: unknown
}

const tries = 6
const longestWait = 60_000 // milliseconds
/** A cluster may think long, but not for ever. */
const timeoutMs = 3_600_000

/** What another try may change: timeouts, too many requests, a server in trouble. */
const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500
/** The whole job would meet these: a wrong key, a wrong address or model. */
const isFatal = (status: number): boolean => [401, 403, 404, 405, 429].includes(status)

/**
 * @param path such as /v1/completions
 * @throws ForerunError E_PEER when no request of the job would fare better, E_ABORTED
 */
export async function ask(
  { url, apiKey, retryMs = 500 }: ServerOptions,
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<ServerReply> {
  const address = `${url.replace(/\/+$/, "").replace(/\/v1$/, "")}${path}`
  const headers = {
    "content-type": "application/json",
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  }
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  let failure = new ForerunError("E_PEER", `no answer from ${url}`)
  for (let attempt = 0; attempt < tries; attempt++) {
    let wait = retryMs * 2 ** attempt
    try {
      const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(body), signal: limit })
      const reply = { status: response.status, body: await readBody(response) }
      if (!isPassing(reply.status) || (attempt === tries - 1 && !isFatal(reply.status))) {
        if (!isFatal(reply.status)) return reply
        throw refusal(url, reply)
      }
      failure = refusal(url, reply)
      wait = Number(response.headers.get("retry-after")) * 1000 || wait
    } catch (thrown) {
      if (signal.aborted) throw new ForerunError("E_ABORTED", "aborted while a server was answering")
      if (thrown instanceof ForerunError) throw thrown
      const cause = asForerunError((thrown as { cause?: unknown }).cause ?? thrown)
      failure = new ForerunError("E_PEER", `no answer from ${url}: ${cause.message}`, { cause: thrown })
    }
    if (attempt < tries - 1) await sleep(Math.min(wait, longestWait), undefined, { signal }).catch(() => {})
  }
  throw failure
}

/** JSON, or an error object around what is none. */
async function readBody(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    return { error: { message: `not JSON: ${text.slice(0, 200)}`, type: "server_error", param: null, code: null } }
  }
}

function refusal(url: string, { status, body }: ServerReply): ForerunError {
  const error = isObject(body) && isObject(body.error) ? body.error.message : undefined
  return new ForerunError("E_PEER", `${url} answered ${status}${typeof error === "string" ? `: ${error}` : ""}`)
}
