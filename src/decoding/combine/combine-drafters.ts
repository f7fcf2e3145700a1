/** Several drafters as one: their drafts become one tree, cut to the rows that pay. Exact, as every draft is. */
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { emptyTree } from "../candidate-tree.ts"
import type { DraftedToken } from "../draft-budget.ts"
import type { Draft, DraftedRound, Drafter, DraftState } from "../speculate.ts"
import type { DraftDecision } from "../step.ts"
import { type DraftSource, type Market, priceOf } from "./draft-source.ts"
import { byWorth, type JudgedDraft, mergeDrafts, treeOf } from "./merge-drafts.ts"
import { createSourceRecord, type SourceRecord } from "./source-record.ts"
import { bestSize, createFunds, createRate } from "./tree-size.ts"

/**
 * For one run. Drafters that cost nothing are asked first; others only where they promise more.
 * @param loan plain passes that may be lost at first, where more is hoped for than usual
 */
export function combineDrafters(sources: readonly DraftSource[], cost: RowCost, loan?: number): Drafter {
  const records = sources.map(createSourceRecord)
  const order = [...records.keys()].sort((a, b) => Number(isCostly(records[a]!)) - Number(isCostly(records[b]!)))
  const rate = createRate()
  const funds = createFunds(loan)
  /** By source, its own index of each node of the draft that was proposed last. */
  let own: readonly (readonly number[])[] = []

  async function propose(state: DraftState): Promise<Draft> {
    const market: Market = { cost, rate: rate.value(), funds: funds.value() }
    const judged: JudgedDraft[] = records.map(() => ({ tree: emptyTree, chances: [] }))
    for (const index of order) {
      const record = records[index]!
      const length = record.plan(state.room.depth, market, isCostly(record) ? promised(judged, state, market) : 0)
      if (length > 0) judged[index] = await ask(record, { state, length, market })
    }
    const merged = mergeDrafts(judged)
    const ranked = byWorth(merged).slice(0, state.room.nodes)
    const worths = ranked.map((node) => merged.worths[node]!)
    const { size } = bestSize(worths, priceOf(market), market)
    const chosen = ranked.slice(0, size).sort((a, b) => a - b)
    own = merged.own.map((nodes) => chosen.map((node) => nodes[node]!))
    const from = sources.flatMap(({ name }, i) => (own[i]!.some((node) => node >= 0) ? [name] : []))
    const decision: DraftDecision = { from, why: reason(chosen.length, ranked.length) }
    return { tree: treeOf(merged.tree, chosen), decision, ...predictedOf(judged, own) }
  }

  function observe(round: DraftedRound): void {
    const spent = cost(1 + round.tree.tokens.length) + records.reduce((sum, record) => sum + record.takeSpent(), 0)
    rate.observe(round.committed.length, spent)
    funds.observe(round.committed.length, spent)
    for (const [i, record] of records.entries())
      record.observe({ ...round, nodes: round.nodes.map((node) => own[i]?.[node] ?? -1) }, spent)
    own = []
  }

  const wanted = [...new Set(sources.flatMap(({ drafter }) => drafter.wantHidden ?? []))]
  return {
    // Only where one looks at the prompt's passes: a prompt that was read before is not read again for nobody.
    ...(wanted.length > 0 ? { wantHidden: wanted } : {}),
    ...(sources.some(({ drafter }) => drafter.read)
      ? {
          read(start, pass) {
            for (const { drafter } of sources) drafter.read?.(start, pass)
          },
        }
      : {}),
    propose,
    observe,
    dispose() {
      for (const { drafter } of sources) drafter.dispose?.()
    },
  }
}

const isCostly = ({ source }: SourceRecord): boolean => source.cost !== undefined

interface Question {
  readonly state: DraftState
  readonly length: number
  readonly market: Market
}

async function ask(record: SourceRecord, { state, length, market }: Question): Promise<JudgedDraft> {
  const goesOn = (drafted: DraftedToken) =>
    state.goesOn(drafted) && (!isCostly(record) || record.goesOn(drafted.grade ?? drafted.count, drafted.count, market))
  const { branches = 1 } = record.source
  const most = isCostly(record) ? length * branches : state.room.nodes
  const room = { nodes: Math.min(most, state.room.nodes), depth: length }
  return record.judge(await record.source.drafter.propose({ ...state, room, goesOn }))
}

/** What the drafts so far are expected to gain. */
function promised(judged: readonly JudgedDraft[], { room }: DraftState, market: Market): number {
  const merged = mergeDrafts(judged)
  const worths = byWorth(merged)
    .slice(0, room.nodes)
    .map((node) => merged.worths[node]!)
  return bestSize(worths, priceOf(market), market).gain
}

/** Nodes of the expected text, where a source drafts from one: those of its own that it says are. */
function predictedOf(judged: readonly JudgedDraft[], own: readonly (readonly number[])[]): Pick<Draft, "predicted"> {
  if (judged.every(({ predicted }) => predicted === undefined)) return {}
  const sets = judged.map(({ predicted }) => new Set(predicted))
  const nodes = own[0]!.map((_, node) => node)
  return { predicted: nodes.filter((node) => sets.some((set, i) => set.has(own[i]![node]!))) }
}

function reason(chosen: number, drafted: number): DraftDecision["why"] {
  if (chosen > 0) return "worth-its-rows"
  return drafted > 0 ? "not-worth-its-rows" : "nothing-drafted"
}
