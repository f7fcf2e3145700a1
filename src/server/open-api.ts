/** GET /openapi.json and /docs: the table of routes, described. */
import { z } from "zod"
import type { ApiRequest, Route, ServerContext } from "./context.ts"

const errorShape = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.union([z.string(), z.number()]).nullable(),
  }),
})

const json = (schema: object) => ({ "application/json": { schema } })
/** OpenAPI 3.1 takes JSON Schema as it is. */
const shape = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" })

/** @param version of the package */
export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = named(route.path)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: "3.1.0",
    info: { title: "Forerun", version, description: "An OpenAI-compatible server for one model." },
    paths,
    components: {
      schemas: { Error: shape(errorShape) },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  }
}

const named = (path: string): string => path.replace(/\*$|:id/, "{id}")

function operation({ path, summary, body, query, bodyType = "application/json", isOpen }: Route): object {
  const failure = { description: "An error", content: json({ $ref: "#/components/schemas/Error" }) }
  const id = { name: "id", in: "path", required: true, schema: { type: "string", minLength: 1 } }
  return {
    summary,
    parameters: [
      ...(named(path) !== path ? [id] : []),
      ...Object.entries(query?.shape ?? {}).map(([name, type]) => ({ name, in: "query", schema: shape(type) })),
    ],
    ...(body ? { requestBody: { required: true, content: { [bodyType]: { schema: shape(body) } } } } : {}),
    responses: { "200": { description: "The answer" }, default: failure },
    security: isOpen ? [] : [{ key: [] }, {}],
  }
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)

/** One page without scripts and without anything from elsewhere. */
export function referencePage(routes: readonly Route[], name: string): string {
  const details = (what: string, schema: z.ZodType | undefined) =>
    schema
      ? `<details><summary>${what}</summary><pre>${escaped(JSON.stringify(shape(schema), null, 2))}</pre></details>`
      : ""
  const sections = routes.map(({ method, path, summary, body, query }) => {
    const schema = details("query", query) + details("body", body)
    return `<section><h2><b>${method}</b> <code>${escaped(named(path))}</code></h2><p>${escaped(summary)}</p>${schema}</section>`
  })
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(name)}</title><style>${style}</style>
<main><h1>${escaped(name)}</h1><p>The description for programs: <a href="/openapi.json">openapi.json</a></p>${sections.join("\n")}</main></html>`
}

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui;margin:2rem auto;max-width:46rem;padding:0 1rem}
h2{font-size:1rem;margin:1.5rem 0 0}p{margin:.2rem 0}pre{overflow:auto;font-size:.8rem}`

/** @param all gives the whole table, of which these two are a part */
export function descriptionRoutes(all: () => readonly Route[], version: string): readonly Route[] {
  const page = (_: ApiRequest, { settings }: ServerContext) =>
    new Response(referencePage(all(), settings.name), {
      headers: {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
      },
    })
  return [
    {
      method: "GET",
      path: "/openapi.json",
      summary: "This description.",
      handle: () => Response.json(openApi(all(), version)),
    },
    { method: "GET", path: "/docs", summary: "This description, for people.", handle: page },
  ]
}
