/** The app on a socket, with bounds on connections, headers and patience; and an end that lets the last answers finish. */
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { isIP } from "node:net"
import { createAdaptorServer } from "@hono/node-server"
import { ForerunError } from "../base/errors.ts"
import type { App } from "./app.ts"

export interface ListenOptions {
  /** Default 127.0.0.1. Another address than this machine's own needs keys. */
  readonly host?: string
  /** 0: any free one. */
  readonly port?: number
  /** Listens to others without a key all the same. */
  readonly isInsecure?: boolean
  /** Seconds that running answers have when the server is closed; default 30. */
  readonly drainSeconds?: number
  /** Connections at a time; default 1024. */
  readonly connections?: number
}

export interface Listening {
  readonly url: string
  /** Answers what has been asked, refuses what comes, closes. */
  close(): Promise<void>
}

/** Bytes and milliseconds: what a slow or endless request can take from others. */
const bounds = {
  maxHeaderSize: 16 << 10,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 60_000,
  connectionsCheckingInterval: 2000,
}
const maxHeaders = 100

/** @throws ForerunError E_OPTION when others could call without a key, E_IO when the address cannot be had */
export async function listen(app: App, options: ListenOptions = {}): Promise<Listening> {
  const { host = "127.0.0.1", port = 0, isInsecure = false, drainSeconds = 30, connections = 1024 } = options
  if (!isLoopback(host) && app.settings.keys.length === 0 && !isInsecure)
    throw new ForerunError("E_OPTION", `others can reach ${host}: that needs a key`, {
      hint: "--api-key <key>, or --insecure if that is meant",
    })
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: bounds,
    overrideGlobalObjects: false,
  }) as Server
  server.maxConnections = connections
  server.maxHeadersCount = maxHeaders
  server.listen(port, host)
  try {
    await once(server, "listening")
  } catch (thrown) {
    throw new ForerunError("E_IO", `cannot listen on ${host}:${port}: ${(thrown as Error).message}`, { cause: thrown })
  }
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}`,
    async close() {
      const limit = setTimeout(() => server.closeAllConnections(), drainSeconds * 1000)
      await app.drain()
      clearTimeout(limit)
      const closed = once(server, "close")
      server.close()
      server.closeIdleConnections()
      const grace = setTimeout(() => server.closeAllConnections(), 1000) // the last bytes of the last answers
      await closed
      clearTimeout(grace)
    },
  }
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host)
