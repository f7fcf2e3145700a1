/**
 * One engine against another, taking turns. Both read the same token ids from an empty cache, take the likeliest token
 * each time and decode past any end of text; both are timed where a user sees tokens (ours across the worker's boundary).
 * The side that is not timed idles, which is checked by its processor time.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { PeerEngine, PeerTiming } from "./peers/peer.ts"
import { median, ratioInterval } from "./statistics.ts"
import type { ContextRow, PeerName, PeerRow } from "./types.ts"

/** Either side. `cpuMs`: processor time used so far, so that the idle side can be checked. */
export type Side = Pick<PeerEngine, "run" | "cpuMs">

export interface PeerRun {
  readonly name: PeerName
  readonly tokens: readonly number[]
  readonly prefillTokens: number
  readonly contexts: readonly number[]
  readonly decodeTokens: number
  readonly repetitions: number
  /** Pause between turns: backend threads spin for a while after a run. Default 100 ms. */
  readonly settleMs?: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (done: number, total: number) => void
}

interface Pair {
  readonly ours: PeerTiming[]
  readonly peer: PeerTiming[]
}

export async function comparePeer(ours: Side, peer: PeerEngine, run: PeerRun): Promise<PeerRow> {
  const { tokens, contexts, prefillTokens, decodeTokens, repetitions, signal } = run
  const jobs = [
    { length: prefillTokens, count: 1 },
    ...contexts.map((length) => ({ length, count: decodeTokens + 1 })),
  ].map((job) => ({ ...job, pair: { ours: [], peer: [] } as Pair }))
  const idle = { ours: 0, peer: 0 }
  const turn = async (active: Side, waiting: Side, side: "ours" | "peer", length: number, count: number) => {
    await sleep(run.settleMs ?? 100)
    const [begin, before] = [performance.now(), await waiting.cpuMs()]
    const timing = await active.run(tokens.slice(0, length), count)
    const used = (await waiting.cpuMs()) - before
    idle[side === "ours" ? "peer" : "ours"] = Math.max(
      idle[side === "ours" ? "peer" : "ours"],
      used / (performance.now() - begin),
    )
    signal?.throwIfAborted()
    return timing
  }
  const total = (repetitions + 1) * jobs.length
  let done = 0
  for (let repetition = 0; repetition <= repetitions; repetition++)
    for (const { length, count, pair } of jobs) {
      // Who goes first alternates: a drifting machine favours neither.
      const order = repetition % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const)
      for (const side of order) {
        const timing = await (side === "ours"
          ? turn(ours, peer, side, length, count)
          : turn(peer, ours, side, length, count))
        if (repetition > 0) pair[side].push(timing) // the first round warms up
      }
      run.onProgress?.(++done, total)
    }
  return peerRow(
    run,
    peer.version,
    jobs[0]!.pair,
    jobs.slice(1).map(({ pair }) => pair),
    idle,
  )
}

function peerRow(
  run: PeerRun,
  version: string,
  prefill: Pair,
  decode: readonly Pair[],
  idle: PeerRow["idleLoad"],
): PeerRow {
  const read = (timings: readonly PeerTiming[]) => timings.map(({ prefillMs }) => prefillMs)
  const step = (timings: readonly PeerTiming[]) => timings.map(({ tokenMs }) => median(tokenMs))
  const contexts = decode.map(({ ours, peer }, i): ContextRow => {
    const [mine, theirs] = [step(ours), step(peer)]
    const [tokenMs, peerTokenMs] = [median(mine), median(theirs)]
    return {
      context: run.contexts[i]!,
      tokensPerSecond: 1000 / tokenMs,
      peerTokensPerSecond: 1000 / peerTokenMs,
      ratio: ratioInterval(theirs, mine),
      tokenMs,
      peerTokenMs,
    }
  })
  const [prefillMs, peerPrefillMs] = [median(read(prefill.ours)), median(read(prefill.peer))]
  const first = contexts[0]!
  const rate = (milliseconds: number) => (run.prefillTokens / milliseconds) * 1000
  return {
    name: run.name,
    version,
    tokensPerSecond: first.peerTokensPerSecond,
    prefillTokensPerSecond: rate(peerPrefillMs),
    ratio: first.ratio,
    prefillRatio: ratioInterval(read(prefill.peer), read(prefill.ours)),
    prefillTokens: run.prefillTokens,
    ours: { tokensPerSecond: first.tokensPerSecond, prefillTokensPerSecond: rate(prefillMs) },
    contexts,
    timings: { prefillMs, peerPrefillMs },
    idleLoad: idle,
  }
}
