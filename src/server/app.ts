/** The server as a function from Request to Response: guards, then the table of routes. Knows no sockets. */
import { randomUUID } from "node:crypto"
import { type Context, Hono } from "hono"
import { createLocalExecutor } from "../jobs/local-executor.ts"
import { type Admission, createAdmission } from "./admission.ts"
import { ApiError, apiError, errorResponse } from "./api-error.ts"
import type { ApiRequest, Route, ServedModel, ServerContext } from "./context.ts"
import { openData, type ServerData } from "./data.ts"
import { checkHost, checkKey, checkOrigin, crossOrigin, preflight } from "./guards.ts"
import { createMetrics } from "./metrics.ts"
import { routes } from "./routes.ts"
import { type ResolvedSettings, resolveSettings, type ServerSettings } from "./settings.ts"
import { createSpelling, type Spelling } from "./spelling.ts"

export interface App {
  readonly fetch: (request: Request) => Promise<Response>
  readonly settings: ResolvedSettings
  readonly admission: Admission
  /** Takes up the batches of a folder that outlives servers. @throws ForerunError E_IO, E_LOCKED */
  start(): Promise<void>
  /** Nobody is let in any more, batches stop; resolves when everybody has left. */
  drain(): Promise<void>
}

export interface AppOptions {
  readonly settings?: ServerSettings
  /** Called in this process: no host, no origin, no key is asked for. */
  readonly isTrusted?: boolean
}

export function createApp(model: ServedModel, { settings: given = {}, isTrusted = false }: AppOptions = {}): App {
  const { info } = model
  const settings = resolveSettings(given, fileName(info.path), isTrusted)
  const admission = createAdmission(settings.limits)
  let isDraining = false
  let spelling: Promise<Spelling> | undefined
  let data: Promise<ServerData> | undefined
  const context: ServerContext = {
    ...{ model, settings, admission, metrics: createMetrics({ admission, model }) },
    created: Math.floor(Date.now() / 1000),
    isDraining: () => isDraining,
    data() {
      data ??= openData(settings.dataFolder, {
        executor: () => createLocalExecutor(model, { concurrency: settings.limits.batchParallel, name: settings.name }),
        ...{ defaults: settings.defaults, limits: settings.limits },
      })
      data.catch(() => {
        data = undefined
      })
      return data
    },
    spelling: () => (spelling ??= model.vocabulary().then(createSpelling)),
  }
  const hono = new Hono()
  for (const route of routes) hono.on(route.method, route.path, (c) => serve(c, route, context))
  hono.all("*", ({ req: { raw, path } }) => answer(raw, { path: "unknown" }, context, () => unknown(path, raw)))
  return {
    fetch: async (request) => hono.fetch(request),
    settings,
    admission,
    async start() {
      if (settings.dataFolder !== undefined) await context.data()
    },
    async drain() {
      isDraining = true
      const left = admission.close()
      await data?.then((opened) => opened.close()).catch(() => {})
      await left
    },
  }
}

/** Without folders and ending: names inside files are for people, and hold spaces. */
const fileName = (path: string): string =>
  path
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.gguf$/i, "")

function unknown(path: string, request: Request): Response {
  const others = routes.filter((route) => fits(route.path, path)).map(({ method }) => method)
  if (others.length === 0) throw new ApiError(404, `there is no ${path.slice(0, 80)} here`, { code: "unknown_url" })
  const allow = [...new Set(others)].join(", ")
  throw new ApiError(405, `${request.method.slice(0, 20)} is not possible here, ${allow} is`, { headers: { allow } })
}

const fits = (pattern: string, path: string): boolean => {
  const [wanted, found] = [pattern.split("/"), path.split("/")]
  const isOpen = wanted.at(-1) === "*"
  if (isOpen ? found.length < wanted.length : found.length !== wanted.length) return false
  return wanted.every((part, i) => part === found[i] || ((part === "*" || part === ":id") && found[i] !== ""))
}

async function serve(c: Context, route: Route, context: ServerContext): Promise<Response> {
  const { raw, path } = c.req
  return answer(raw, route, context, (request) => {
    const tail = route.path.endsWith("/*") ? decoded(path.slice(route.path.length - 1)) : (c.req.param("id") ?? "")
    return route.handle({ ...request, tail }, context)
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ApiError(400, "the path is not well encoded")
  }
}

type Work = (request: ApiRequest) => Promise<Response> | Response

/** The frame of every answer: guards, a turn, the time limit, errors, and the headers that all answers have. */
async function answer(
  raw: Request,
  route: Pick<Route, "path"> & Partial<Route>,
  context: ServerContext,
  work: Work,
): Promise<Response> {
  const id = `req_${randomUUID().replaceAll("-", "")}`
  const { settings, metrics } = context
  const origin = raw.headers.get("origin")
  let response: Response
  try {
    if (!settings.isTrusted) {
      checkHost(raw.headers.get("host") ?? new URL(raw.url).host, settings.hosts)
      checkOrigin(origin, settings.origins)
    }
    if (raw.method === "OPTIONS") response = preflight(origin)
    else {
      const { caller } =
        settings.isTrusted || route.isOpen ? { caller: "anyone" } : checkKey(raw.headers, settings.keys)
      response = await admitted(raw, { id, caller }, { context, route, work })
    }
  } catch (thrown) {
    response = errorResponse(apiError(thrown))
  }
  metrics.answered(route.path, response.status)
  for (const [name, value] of Object.entries({ "x-request-id": id, ...crossOrigin(origin, settings) }))
    response.headers.set(name, value)
  return response
}

interface Admitted {
  readonly context: ServerContext
  readonly route: Partial<Route>
  readonly work: Work
}

/** Routes that ask the model take a turn, which a streamed answer gives back when it ends. */
async function admitted(
  raw: Request,
  { id, caller }: Pick<ApiRequest, "id" | "caller">,
  { context, route, work }: Admitted,
): Promise<Response> {
  const { admission, settings, metrics } = context
  const limit = createLimit(raw.signal, settings.limits.requestSeconds)
  const { signal } = limit
  let giveBack = () => {}
  let isStreaming = false
  const leave: ApiRequest["leave"] = (reason) => {
    if (reason === "left") metrics.left()
    limit.end()
    giveBack()
  }
  try {
    if (route.method === "POST" && !route.isTurnless) giveBack = await admission.enter(caller, signal)
    const response = await work({ raw, id, caller, signal, tail: "", leave })
    isStreaming = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false
    return response
  } catch (thrown) {
    if (!signal.aborted) throw thrown
    metrics.left()
    throw signal.reason
  } finally {
    if (!isStreaming) {
      limit.end()
      giveBack()
    }
  }
}

function createLimit(client: AbortSignal, seconds: number) {
  const controller = new AbortController()
  const late = new ApiError(504, `the request took longer than ${seconds} seconds`, { code: "timeout" })
  const timer = setTimeout(() => controller.abort(late), seconds * 1000)
  const left = () => controller.abort(new ApiError(499, "the client has left", { code: "client_left" }))
  client.addEventListener("abort", left, { once: true })
  if (client.aborted) left()
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer)
      client.removeEventListener("abort", left)
    },
  }
}
