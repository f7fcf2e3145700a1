/** GET /methods: the decoding methods and their options. */
import { describeMethod } from "../methods/describe.ts"
import { loadMethod, methodNames } from "../methods/index.ts"
import type { Route } from "./context.ts"

async function list(): Promise<Response> {
  const methods = await Promise.all(methodNames.map(loadMethod))
  return Response.json({ object: "list", data: methods.map(describeMethod) })
}

export const methodRoutes: readonly Route[] = [
  { method: "GET", path: "/methods", summary: "The decoding methods and their options.", handle: list },
]
