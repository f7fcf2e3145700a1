/** For tests: a hub on 127.0.0.1 with ranges, ETags and a listing, and a hook to misbehave. */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export type FakeHub = {
  url: string
  commit: string
  files: Map<string, Buffer>
  requests: {
    method: string
    path: string
    range: string | undefined
    ifRange: string | undefined
    auth: string | undefined
  }[]
  /** Answers in place of the hub when it returns true. `file` is undefined for the listing. */
  hook: ((request: IncomingMessage, response: ServerResponse, file: string | undefined) => boolean) | undefined
  /** Requests for the contents of files, which is what most tests count. */
  gets: () => string[]
  close: () => Promise<void>
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

/** What a GGUF of `bytes` bytes looks like to a downloader. */
export function fakeGguf(bytes: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let i = 0, x = seed; i < bytes; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff
    buffer[i] = x >> 16
  }
  buffer.write("GGUF")
  return buffer
}

export function oidOf(bytes: Buffer): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")
}

export const isLarge = (file: string) => /\.(gguf|safetensors)$/.test(file)

/** Serves `files` as the repository user/repo. */
export async function startFakeHub(files: Record<string, Buffer>): Promise<FakeHub> {
  const hub: FakeHub = {
    url: "",
    commit: "c".repeat(40),
    files: new Map(Object.entries(files)),
    requests: [],
    hook: undefined,
    gets: () =>
      hub.requests.filter(({ method, path }) => method === "GET" && path.includes("/resolve/")).map(({ path }) => path),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://hub")
    const file = /^\/[^/]+\/[^/]+\/resolve\/[^/]+\/(.+)$/.exec(decodeURIComponent(pathname))?.[1]
    hub.requests.push({
      method: request.method ?? "",
      path: pathname,
      range: request.headers.range,
      ifRange: request.headers["if-range"] as string | undefined,
      auth: request.headers.authorization,
    })
    if (hub.hook?.(request, response, file)) return
    if (file !== undefined) serveFile(hub, file, request, response)
    else serveListing(hub, pathname, response)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return hub
}

function serveListing(hub: FakeHub, pathname: string, response: ServerResponse): void {
  if (!/^\/api\/models\/(user\/repo|QuantFactory\/SmolLM2-135M-Instruct-GGUF)\/revision\//.test(pathname))
    return void response.writeHead(404).end()
  const siblings = [...hub.files].map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    blobId: oidOf(bytes),
    ...(isLarge(rfilename) ? { lfs: { sha256: sha256Of(bytes), size: bytes.length, pointerSize: 134 } } : {}),
  }))
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ sha: hub.commit, siblings }))
}

function serveFile(hub: FakeHub, file: string, request: IncomingMessage, response: ServerResponse): void {
  const bytes = hub.files.get(file)
  if (bytes === undefined) return void response.writeHead(404).end()
  const etag = `"${isLarge(file) ? sha256Of(bytes) : oidOf(bytes)}"`
  const headers = {
    etag,
    "x-repo-commit": hub.commit,
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
  }
  const ifRange = request.headers["if-range"]
  const start =
    ifRange === undefined || ifRange === etag ? /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] : undefined
  const from = Number(start ?? 0)
  if (start !== undefined && from >= bytes.length) return void response.writeHead(416).end()
  const range = start === undefined ? {} : { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
  response.writeHead(start === undefined ? 200 : 206, { ...headers, ...range, "content-length": bytes.length - from })
  response.end(request.method === "HEAD" ? undefined : bytes.subarray(from))
}

/** A hook that sends the first `bytes` of the file and cuts the line, `times` times. */
export function cutAfter(hub: FakeHub, bytes: number, times = 1): FakeHub["hook"] {
  let left = times
  return (request, response, file) => {
    const whole = file === undefined ? undefined : hub.files.get(file)
    if (whole === undefined || request.method !== "GET" || request.headers.range !== undefined || left-- <= 0)
      return false
    response.writeHead(200, { etag: `"${sha256Of(whole)}"`, "content-length": whole.length })
    response.write(whole.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20))
    return true
  }
}
