/** Pages of lists, as OpenAI's clients turn them. */
import { z } from "zod"
import { ApiError } from "../api-error.ts"

interface Item {
  readonly id: string
}

/** What a list's address may ask for. */
export const pageQuery = (most: number) =>
  z.object({
    limit: z.int().min(1).max(most).optional(),
    after: z.string().describe("The id of the item before the page.").optional(),
  })

/**
 * @param items in the order in which they are listed
 * @param most what a page may hold, and holds unless the request says less
 */
export function page(items: readonly Item[], url: string, { most, usual }: { most: number; usual: number }): Response {
  const query = new URL(url).searchParams
  const limit = query.get("limit") ?? String(usual)
  if (!/^\d+$/.test(limit) || Number(limit) < 1 || Number(limit) > most)
    throw new ApiError(400, `limit must be a whole number from 1 to ${most}`, { param: "limit" })
  const after = query.get("after")
  const start = after === null ? 0 : items.findIndex(({ id }) => id === after) + 1
  if (after !== null && start === 0) throw new ApiError(400, "after must be the id of an item", { param: "after" })
  const data = items.slice(start, start + Number(limit))
  return Response.json({
    ...{ object: "list", data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null },
    has_more: start + data.length < items.length,
  })
}
