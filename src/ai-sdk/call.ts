/** One request to a Forerun server, in this process or elsewhere, with failures as the AI SDK knows them. */
import { APICallError } from "@ai-sdk/provider"

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>

export interface Server {
  readonly fetch: Fetch
  /** Without a slash at its end. */
  readonly baseURL: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Call {
  /** Below the base, such as /embeddings. */
  readonly path: string
  readonly body: object
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined
  readonly signal?: AbortSignal | undefined
}

/** @throws APICallError with the server's words; the signal's reason after an abort */
export async function post({ fetch, baseURL, headers }: Server, call: Call): Promise<Response> {
  call.signal?.throwIfAborted()
  const url = `${baseURL}${call.path}`
  const given = Object.entries({ ...headers, ...call.headers }).filter((entry) => entry[1] !== undefined)
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(Object.fromEntries(given) as Record<string, string>) },
    body: JSON.stringify(call.body),
    ...(call.signal ? { signal: call.signal } : {}),
  }).catch((thrown: unknown) => {
    call.signal?.throwIfAborted()
    const message = `no answer from ${url}: ${(thrown as Error).message}`
    throw new APICallError({ message, url, requestBodyValues: call.body, cause: thrown, isRetryable: true })
  })
  if (response.ok) return response
  call.signal?.throwIfAborted()
  const responseBody = await response.text()
  const error = errorIn(responseBody)
  throw new APICallError({
    message: error?.message ?? `the server answered with status ${response.status}`,
    ...{ url, requestBodyValues: call.body, statusCode: response.status, responseBody, data: error },
    responseHeaders: headersOf(response),
    isRetryable: response.headers.get("x-should-retry") !== "false" && [408, 429, 503].includes(response.status),
  })
}

export const headersOf = ({ headers }: Response): Record<string, string> => Object.fromEntries(headers)

interface ServerError {
  readonly message: string
}

function errorIn(text: string): ServerError | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: ServerError }
    return typeof error?.message === "string" ? error : undefined
  } catch {
    return undefined
  }
}
