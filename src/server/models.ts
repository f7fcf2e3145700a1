/** GET /v1/models and /v1/models/{id}. */
import { ApiError } from "./api-error.ts"
import type { ApiRequest, Route, ServerContext } from "./context.ts"

function modelObjects({ settings, model, created }: ServerContext) {
  const { architecture, config, weights } = model.info
  const common = {
    ...{ object: "model", created, owned_by: "forerun" },
    ...{ architecture, weights, max_model_len: config.context },
  }
  return [settings.name, ...settings.aliases].map((id) => ({ id, ...common }))
}

const listModels = (_: ApiRequest, context: ServerContext) =>
  Response.json({ object: "list", data: modelObjects(context) })

/** Ids may hold slashes, written as they are or as %2F. */
function oneModel({ tail }: ApiRequest, context: ServerContext): Response {
  const found = modelObjects(context).find(({ id }) => id === tail)
  if (found) return Response.json(found)
  throw new ApiError(404, `there is no model ${JSON.stringify(tail.slice(0, 80))}`, {
    param: "model",
    code: "model_not_found",
  })
}

export const modelRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/models", summary: "The models that are served.", handle: listModels },
  { method: "GET", path: "/models", summary: "As /v1/models.", handle: listModels },
  { method: "GET", path: "/v1/models/*", summary: "One model.", handle: oneModel },
  { method: "GET", path: "/models/*", summary: "As /v1/models/{id}.", handle: oneModel },
]
