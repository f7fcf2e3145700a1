/** What a plan would do on a runtime with merged passes: which tokens go into which pass, and how much memory that takes. */
import { ForerunError } from "../../base/errors.ts"
import type { PlannedGroup } from "./plan.ts"

export interface SimulateOptions {
  /** Tokens a pass may hold, decoding rows included. */
  readonly chunk: number
  /** Positions that all caches together may hold; default no limit. */
  readonly kvBudget?: number
  /** Sequences at a time, the cap that memory-centric batching does without; default no limit. */
  readonly maxSequences?: number
  /** What a pass of so many tokens takes, in any unit; default 1. */
  readonly passCost?: (tokens: number) => number
}

export interface Simulation {
  readonly iterations: number
  readonly tokensPerIteration: readonly number[]
  /** Most positions held at once. */
  readonly peakKv: number
  readonly prefillTokens: number
  readonly cost: number
}

interface Sequence {
  readonly prefill: number
  readonly decode: number
  /** The group it belongs to, and whether it is the prefix itself. */
  readonly group: Group | undefined
  readonly isPrefix: boolean
  read: number
  decoded: number
}

interface Group {
  membersLeft: number
  /** First pass that members may take part in. */
  readyAt: number
}

/**
 * Each pass: a token for every sequence that is decoding, then the prefills under way in order of arrival, then new
 * sequences while memory allows. Memory is reserved in full on arrival, so nothing is ever evicted. A prefix is read as
 * a sequence of its own; it is held until the last member is done.
 * @throws ForerunError E_OPTION, E_INPUT when a sequence can never fit
 */
export function simulate(groups: readonly PlannedGroup[], options: SimulateOptions): Simulation {
  const { chunk, kvBudget = Number.POSITIVE_INFINITY, maxSequences = Number.POSITIVE_INFINITY, passCost } = options
  if (!(chunk >= 1 && maxSequences >= 1))
    throw new ForerunError("E_OPTION", "chunk and maxSequences must be at least 1")
  const queue = groups.flatMap(sequencesOf)
  const prefillTokens = sum(queue.map(({ prefill }) => prefill))
  let running: readonly Sequence[] = []
  let peakKv = 0
  const passes: number[] = []
  while (queue.length > 0 || running.length > 0) {
    const decoding = running.filter(isDecoding)
    for (const sequence of decoding) sequence.decoded++
    let left = Math.max(0, chunk - decoding.length)
    let tokens = decoding.length
    const read = (sequence: Sequence) => {
      const rows = Math.min(left, sequence.prefill - sequence.read)
      sequence.read += rows
      left -= rows
      tokens += rows
      if (sequence.isPrefix && rows > 0 && isRead(sequence)) sequence.group!.readyAt = passes.length + 1
    }
    for (const sequence of running) read(sequence)
    const admitted = [...running]
    for (let head = queue[0]; head && left > 0; head = queue[0]) {
      const isWaiting = head.group && !head.isPrefix && head.group.readyAt > passes.length
      const isFull = admitted.filter((one) => !one.isPrefix).length >= maxSequences
      if (isWaiting || isFull || reserved(admitted) + size(head) > kvBudget) break
      admitted.push(queue.shift()!)
      read(head)
    }
    if (tokens === 0)
      throw new ForerunError(
        "E_INPUT",
        `a sequence of ${size(queue[0]!)} positions does not fit: ${reserved(admitted)} of ${kvBudget} are taken`,
      )
    passes.push(tokens)
    peakKv = Math.max(peakKv, sum(admitted.map(({ read, decoded }) => read + decoded)))
    for (const one of admitted) if (!one.isPrefix && isDone(one) && one.group) one.group.membersLeft--
    running = admitted.filter((one) => !isDone(one))
  }
  const cost = sum(passes.map((tokens) => passCost?.(tokens) ?? 1))
  return { iterations: passes.length, tokensPerIteration: passes, peakKv, prefillTokens, cost }
}

function sequencesOf({ prefix, members }: PlannedGroup): Sequence[] {
  const fresh = { read: 0, decoded: 0 }
  const group = prefix.length === 0 ? undefined : { membersLeft: members.length, readyAt: Number.POSITIVE_INFINITY }
  const own = members.map(({ suffix, decodeTokens }) => ({
    ...{ prefill: suffix.length, decode: decodeTokens, group, isPrefix: false },
    ...fresh,
  }))
  return group ? [{ prefill: prefix.length, decode: 0, group, isPrefix: true, ...fresh }, ...own] : own
}

const isRead = ({ read, prefill }: Sequence): boolean => read === prefill

const isDecoding = (one: Sequence): boolean => isRead(one) && one.decoded < one.decode

const isDone = (one: Sequence): boolean =>
  one.isPrefix ? one.group!.membersLeft === 0 : isRead(one) && one.decoded === one.decode

const size = ({ prefill, decode }: Sequence): number => prefill + decode

const reserved = (sequences: readonly Sequence[]): number => sum(sequences.map(size))

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
