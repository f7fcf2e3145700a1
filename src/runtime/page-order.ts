/** Orders an arena's pages for a merged pass: those that many rows see, those that few see, those that nobody uses. */
import type { Arena, Page } from "./arena.ts"
import { type Member, manyVisitors } from "./merged-plan.ts"

/** Consecutive pages of the arena. */
export interface PageRange {
  readonly first: number
  readonly count: number
  /** The most rows that see one of them. */
  readonly visitors: number
}

/** Passes for which a page that is not used stays where it is: moving it costs more than reading it. */
const patience = 16

/** @returns few and many, and the number of the first visitor that each member is to each of its pages */
export function orderPages(
  arena: Arena,
  members: readonly Member[],
  pass: number,
): { readonly ranges: readonly [few: PageRange, many: PageRange]; readonly firstVisitor: number[][] } {
  for (const { pages } of members) for (const page of pages) page.visitors = 0
  const firstVisitor = members.map(({ pages, rows }) =>
    pages.map((page) => {
      const first = page.visitors
      page.visitors += rows
      page.used = pass
      return first
    }),
  )
  const active = arena.pages.filter(({ used }) => pass - used < patience)
  const many = manyVisitors(active.map(({ visitors }) => visitors))
  const kind = (page: Page) => (pass - page.used >= patience ? 2 : page.visitors >= many ? 0 : 1)
  const counts = [0, 0, 0]
  for (const page of arena.pages) counts[kind(page)]!++
  sortByKind(arena, kind, counts)
  const range = (first: number, count: number): PageRange => ({
    first,
    count,
    visitors: Math.max(1, ...arena.pages.slice(first, first + count).map(({ visitors }) => visitors)),
  })
  return { ranges: [range(counts[0]!, counts[1]!), range(0, counts[0]!)], firstVisitor }
}

function sortByKind(arena: Arena, kind: (page: Page) => number, counts: readonly number[]): void {
  const { pages } = arena
  const regionOf = (index: number) => (index < counts[0]! ? 0 : index < counts[0]! + counts[1]! ? 1 : 2)
  for (let i = 0; i < pages.length; i++) {
    const region = regionOf(i)
    const here = kind(pages[i]!)
    if (here === region) continue
    const wanted = (page: Page) => page.index > i && kind(page) === region
    // Best is one that lies where this one belongs.
    const other = pages.find((page) => wanted(page) && regionOf(page.index) === here) ?? pages.find(wanted)!
    arena.swap(pages[i]!, other)
  }
}
