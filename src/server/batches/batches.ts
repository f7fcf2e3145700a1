/** /v1/batches: requests that have a day's time, planned as a whole and answered beside the others. */
import { z } from "zod"
import { requestUrls } from "../../jobs/request.ts"
import { ApiError } from "../api-error.ts"
import { parseBody } from "../bodies.ts"
import type { ApiRequest, Route, ServerContext } from "../context.ts"
import { page, pageQuery } from "../files/listing.ts"
import { readJson } from "../read-body.ts"
import { batchObject } from "./batch-record.ts"

const body = z.looseObject({
  input_file_id: z.string().describe("A file of /v1/files with the purpose batch."),
  endpoint: z.enum(requestUrls),
  completion_window: z.literal("24h"),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
})

async function create({ raw, caller }: ApiRequest, { data, settings }: ServerContext): Promise<Response> {
  const { files, batches } = await data()
  const checked = parseBody(body, await readJson(raw, settings.limits.bodyBytes))
  const { input_file_id: input, endpoint, metadata = null } = checked
  if (Object.keys(metadata ?? {}).length > 16)
    throw new ApiError(400, "metadata holds at most 16 pairs", { param: "metadata" })
  if (files.get(caller, input).purpose !== "batch")
    throw new ApiError(400, "the file must have the purpose batch", { param: "input_file_id" })
  return Response.json(batchObject(await batches.create({ owner: caller, input, endpoint, metadata }), settings.name))
}

const mostListed = 100

async function list({ raw, caller }: ApiRequest, { data, settings }: ServerContext): Promise<Response> {
  const all = (await data()).batches.list(caller).map((batch) => batchObject(batch, settings.name))
  return page(all, raw.url, { most: mostListed, usual: 20 })
}

const describe = async ({ caller, tail }: ApiRequest, { data, settings }: ServerContext) =>
  Response.json(batchObject((await data()).batches.get(caller, tail), settings.name))

const cancel = async ({ caller, tail }: ApiRequest, { data, settings }: ServerContext) =>
  Response.json(batchObject(await (await data()).batches.cancel(caller, tail), settings.name))

export const batchRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/batches", summary: "Begins a batch.", body, isTurnless: true, handle: create },
  { method: "GET", path: "/v1/batches", summary: "Batches, newest first.", query: pageQuery(mostListed), handle: list },
  { method: "GET", path: "/v1/batches/:id", summary: "How a batch fares.", handle: describe },
  {
    ...{ method: "POST", path: "/v1/batches/:id/cancel", summary: "Ends a batch; what is answered stays." },
    ...{ isTurnless: true, handle: cancel },
  },
]
