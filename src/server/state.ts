/** GET /, /health, /ready, /version, /metrics. */
import { ApiError } from "./api-error.ts"
import type { ApiRequest, Route, ServerContext } from "./context.ts"
import { version } from "./version.ts"

/** Alive: this process answers. Whether the model does is said by /ready. */
const health = () => Response.json({ status: "ok" })

function ready(_: ApiRequest, { model, isDraining, admission }: ServerContext): Response {
  const headers = { "retry-after": "1" }
  if (isDraining()) throw new ApiError(503, "the server is shutting down", { headers })
  if (model.engine && !model.engine().isReady)
    throw new ApiError(503, "the engine is being started again", { code: "E_ENGINE_LOST", headers })
  const engine = model.engine && { engine: model.engine() }
  return Response.json({ status: "ready", running: admission.running, waiting: admission.waiting, ...engine })
}

const metrics = async (_: ApiRequest, { metrics }: ServerContext) =>
  new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } })

const versions = () => Response.json({ name: "forerun", version })

export const stateRoutes: readonly Route[] = [
  { method: "GET", path: "/health", summary: "Whether the process answers.", isOpen: true, handle: health },
  { method: "GET", path: "/ready", summary: "Whether the model answers.", handle: ready },
  { method: "GET", path: "/metrics", summary: "Counters and times for Prometheus.", handle: metrics },
  { method: "GET", path: "/version", summary: "Name and version.", handle: versions },
  { method: "GET", path: "/", summary: "As /version.", handle: versions },
]
