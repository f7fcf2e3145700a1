/** /v1/files: inputs of batches, and what came of them. */
import { createReadStream } from "node:fs"
import { Readable } from "node:stream"
import { z } from "zod"
import { ApiError } from "../api-error.ts"
import type { ApiRequest, Route, ServerContext } from "../context.ts"
import { readBytes } from "../read-body.ts"
import type { FileRecord } from "./file-store.ts"
import { page, pageQuery } from "./listing.ts"

const fileObject = ({ id, bytes, created, filename, purpose }: FileRecord) => ({
  ...{ id, object: "file", bytes, created_at: created, filename, purpose, status: "processed" },
})

async function upload(request: ApiRequest, { data, settings }: ServerContext): Promise<Response> {
  const { files } = await data()
  const { limits } = settings
  if (files.list(request.caller).length >= limits.files)
    throw new ApiError(400, `${limits.files} files are kept at most: delete some`, { code: "too_many_files" })
  const { file, purpose } = await readForm(request.raw, limits.fileBytes)
  if (purpose !== "batch") throw new ApiError(400, 'the purpose must be "batch"', { param: "purpose" })
  if (!(file instanceof File) || file.size === 0)
    throw new ApiError(400, "file must be a file, not empty", { param: "file" })
  const of = { owner: request.caller, filename: file.name.slice(0, 255), purpose } as const
  return Response.json(fileObject(await files.add(of, new Uint8Array(await file.arrayBuffer()))))
}

/** @throws ApiError 400, 413, 415 */
async function readForm(raw: Request, most: number) {
  const type = raw.headers.get("content-type") ?? ""
  if (!type.toLowerCase().startsWith("multipart/form-data"))
    throw new ApiError(415, "the body must be multipart/form-data")
  const bytes = await readBytes(raw, most)
  try {
    const form = await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } }).formData()
    return { file: form.get("file"), purpose: form.get("purpose") }
  } catch {
    throw new ApiError(400, "the body is not well-formed multipart/form-data")
  }
}

const mostListed = 10_000
const query = pageQuery(mostListed).extend({
  purpose: z.string().optional(),
  order: z.enum(["asc", "desc"]).default("desc").describe("By age; desc: the newest first."),
})

async function list({ raw, caller }: ApiRequest, { data }: ServerContext): Promise<Response> {
  const query = new URL(raw.url).searchParams
  const purpose = query.get("purpose")
  const files = (await data()).files.list(caller).filter((file) => purpose === null || file.purpose === purpose)
  const ordered = query.get("order") === "asc" ? files.toReversed() : files
  return page(ordered.map(fileObject), raw.url, { most: mostListed, usual: mostListed })
}

const describe = async ({ caller, tail }: ApiRequest, { data }: ServerContext) =>
  Response.json(fileObject((await data()).files.get(caller, tail)))

async function content({ caller, tail }: ApiRequest, { data }: ServerContext): Promise<Response> {
  const { files } = await data()
  const record = files.get(caller, tail)
  const stream = Readable.toWeb(createReadStream(files.path(record))) as ReadableStream<Uint8Array>
  const headers = { "content-type": "application/octet-stream", "content-length": String(record.bytes) }
  return new Response(stream, { headers })
}

async function remove({ caller, tail }: ApiRequest, { data }: ServerContext): Promise<Response> {
  const { files, batches } = await data()
  const record = files.get(caller, tail)
  if (batches.reads(record.id)) throw new ApiError(409, "a batch that is not done reads this file", { code: "in_use" })
  await files.remove(record)
  return Response.json({ id: record.id, object: "file", deleted: true })
}

const body = z.looseObject({
  file: z.string().describe("JSON lines: {custom_id, method, url, body}, one request each."),
  purpose: z.literal("batch"),
})

export const fileRoutes: readonly Route[] = [
  {
    ...{ method: "POST", path: "/v1/files", summary: "Keeps a file.", isTurnless: true, handle: upload },
    ...{ body, bodyType: "multipart/form-data" },
  },
  { method: "GET", path: "/v1/files", summary: "Files that are kept.", query, handle: list },
  { method: "GET", path: "/v1/files/:id", summary: "One file's description.", handle: describe },
  { method: "GET", path: "/v1/files/:id/content", summary: "What is in a file.", handle: content },
  { method: "DELETE", path: "/v1/files/:id", summary: "Deletes a file.", handle: remove },
]
