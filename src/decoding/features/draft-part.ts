/** A feature drafter's weights at work: one session that all runs share, and its passes. */
import { ForerunError } from "../../base/errors.ts"
import { draftGraph } from "../../models/drafter/graph.ts"
import { cacheWidth, type DrafterSizes, drafterSizes, drafterTensors, layerPrefix } from "../../models/drafter/sizes.ts"
import type { WeightFormat } from "../../models/formats.ts"
import { ropeFrequencies, ropeRow } from "../../models/rope.ts"
import type { GraphFeed, GraphRunner } from "../../runtime/graph-runner.ts"
import { draftVocabulary, type OpenedPart, type PartContext, partTensor } from "../method-part.ts"
import type { DraftCache } from "./draft-cache.ts"
import type { ProgramCall, ProgramSetup } from "./draft-program.ts"
import type { DraftSession } from "./draft-session.ts"
import type { Guesses, ScoredTree } from "./grow.ts"

/** Rows of one pass. Row i holds the token after position i and that position's feature. */
export interface DraftRows {
  readonly tokens: Int32Array
  /** [rows, hidden] */
  readonly features: Float32Array
  readonly positions: Int32Array
  /** Whether row `row` sees row `other` of this pass or cached row `other`. */
  sees(row: number, other: number, isCached: boolean): boolean
  /** Rows whose guesses are wanted: at least one. */
  readonly picked: readonly number[]
  /** Guesses wanted of each. */
  readonly top: number
}

export interface PickedRow {
  /** [hidden] */
  readonly predicted: Float32Array
  readonly guesses: Guesses
}

export interface DraftPart extends OpenedPart {
  readonly sizes: DrafterSizes
  /** Runs the rows and puts them into the cache. */
  run(cache: DraftCache, rows: DraftRows): Promise<readonly PickedRow[]>
  /** Where its passes run in another process: one that grows drafts there. Default: grown here, pass by pass. */
  openSession?(): DraftSession
}

/** @throws E_MODEL_FORMAT when the tensors are not those of such a drafter */
export async function openDraftPart(context: PartContext, format: WeightFormat = "q8"): Promise<DraftPart> {
  const sizes = partSizes(context)
  const { target } = context
  const all = () => Int32Array.from({ length: target.config.vocabulary }, (_, id) => id)
  const vocabulary = draftVocabulary(context) ?? all()
  const named = [...drafterTensors(sizes)].map(([name, shape]) => [name, partTensor(context, name, shape)] as const)
  const graph = draftGraph({ sizes, tensors: new Map(named), head: target.headRows(vocabulary), format })
  const runner = await context.openGraph(graph)
  const embed = (tokens: Int32Array) => target.embed(tokens)
  const openSession = await remoteSessions(runner, { sizes, vocabulary, embed })
  return {
    sizes,
    run: createRun(sizes, { runner, vocabulary, embed }),
    ...(openSession ? { openSession } : {}),
    dispose: () => runner.dispose(),
  }
}

/** Where the graph runs in another process: drafts that grow there. */
async function remoteSessions(
  runner: GraphRunner,
  { sizes, vocabulary, embed }: Pick<DraftPart, "sizes"> & Omit<RunParts, "runner">,
): Promise<DraftPart["openSession"]> {
  if (!runner.start) return undefined
  const setup: ProgramSetup = { sizes, vocabulary, embedding: embed(vocabulary) }
  const file = import.meta.url.endsWith(".ts") ? "./draft-program.ts" : "./draft-program.js"
  const call = (await runner.start(new URL(file, import.meta.url), setup)) as (
    call: ProgramCall,
  ) => Promise<ScoredTree | undefined>
  const known = new Set(vocabulary)
  let opened = 0
  return () => {
    const session = opened++
    return {
      grow(task) {
        const tokens = task.rows.tokens.filter((token) => !known.has(token))
        return call({ session, task, others: { tokens, embedding: embed(Int32Array.from(tokens)) } })
      },
      dispose: () => void call({ session, ends: true }).catch(() => {}), // the process may be gone
    }
  }
}

/** What the tensors say of the sizes; the rest is the target's. */
function partSizes({ tensors, target }: PartContext): DrafterSizes {
  const { hidden } = target.config
  const down = partTensor({ tensors }, "down.weight", [hidden, -1])
  const [span] = partTensor({ tensors }, "span", [1]).values
  if (!Number.isInteger(span) || span! < 1 || span! > 16)
    throw new ForerunError("E_MODEL_FORMAT", `a trained part: span needs a whole number up to 16, found ${span}`)
  const fusion = tensors.has("mixGate.weight") ? "dynamic" : tensors.has("gate0.weight") ? "gate" : "plain"
  let layers = 1
  while (tensors.has(`${layerPrefix(layers)}down.weight`)) layers++
  return drafterSizes(target.config, { span: span!, fusion, intermediate: down.shape[1]!, layers })
}

interface RunParts {
  readonly runner: Pick<GraphRunner, "run">
  /** Token of each row of the head. */
  readonly vocabulary: Int32Array
  embed(tokens: Int32Array): Float32Array
}

export function createRun(sizes: DrafterSizes, { runner, vocabulary, embed }: RunParts): DraftPart["run"] {
  const { hidden, rope } = sizes
  const [width, half] = [cacheWidth(sizes), rope.dimensions / 2]
  const frequencies = ropeFrequencies(rope)
  return async (cache, { tokens, features, positions, sees, picked, top: wanted }) => {
    const rows = tokens.length
    const top = Math.min(wanted, vocabulary.length)
    const float = (data: Float32Array, ...shape: number[]): GraphFeed => ({ type: "float32", shape, data })
    const [cos, sin] = [new Float32Array(rows * half), new Float32Array(rows * half)]
    for (const [row, position] of positions.entries()) ropeRow(frequencies, position, cos, sin, row * half)
    const feeds = {
      embedded: float(embed(tokens), rows, hidden),
      features: float(features, rows, hidden),
      cos: float(cos, rows, half),
      sin: float(sin, rows, half),
      pastKeys: float(cache.keys, cache.length, width),
      pastValues: float(cache.values, cache.length, width),
      bias: float(biasOf(rows, cache.length, sees), rows, cache.length + rows),
      picked: { type: "int64", shape: [picked.length], data: BigInt64Array.from(picked, BigInt) },
      top: { type: "int64", shape: [1], data: BigInt64Array.of(BigInt(top)) },
    } as const
    const found = await runner.run(feeds, ["keys", "values", "predicted", "ids", "logprobs"], rows)
    cache.append(found.keys!.data as Float32Array, found.values!.data as Float32Array)
    const predicted = found.predicted!.data as Float32Array
    const logprobs = found.logprobs!.data as Float32Array
    const ids = found.ids!.data as BigInt64Array
    return picked.map((_, i) => ({
      predicted: predicted.subarray(i * hidden, (i + 1) * hidden),
      guesses: {
        ids: Array.from(ids.subarray(i * top, (i + 1) * top), (index) => vocabulary[Number(index)]!),
        logprobs: Array.from(logprobs.subarray(i * top, (i + 1) * top)),
      },
    }))
  }
}

/** Cached rows, then the pass's own. [rows, past + rows] */
function biasOf(rows: number, past: number, sees: DraftRows["sees"]): Float32Array {
  const bias = new Float32Array(rows * (past + rows))
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < past + rows; column++) {
      const isCached = column < past
      if (!sees(row, isCached ? column : column - past, isCached))
        bias[row * (past + rows) + column] = Number.NEGATIVE_INFINITY
    }
  return bias
}
