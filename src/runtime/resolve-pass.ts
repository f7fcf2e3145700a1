/** Checks a pass against the model and fills in its defaults, before anything is allocated. */
import { ForerunError } from "../base/errors.ts"
import type { ModelConfig } from "../models/config.ts"
import { HostCache } from "./kv-cache.ts"
import { checkMask } from "./mask.ts"
import type { ForwardPass } from "./pass.ts"

/** A checked pass with its defaults filled in. */
export interface Resolved {
  readonly input: ForwardPass["input"]
  /** Embeddings or hidden states, when the input is not tokens. */
  readonly values: Float32Array | undefined
  readonly rows: number
  readonly cache: HostCache
  readonly past: number
  readonly positions: Int32Array
  readonly mask: NonNullable<ForwardPass["mask"]>
  readonly layers: readonly [number, number]
  readonly logitRows: readonly number[]
  readonly top: number
  readonly hidden: readonly (number | "final")[]
}

/** @param open makes an empty cache, for a pass that was given none; it holds no memory until something is kept */
export function resolvePass(pass: ForwardPass, config: ModelConfig, open: () => HostCache): Resolved {
  const layers = pass.layers ?? ([0, config.layers] as const)
  const [from, to] = layers
  if (![from, to].every(Number.isInteger) || from < 0 || to > config.layers || from > to)
    bad(`layers [${from}, ${to}) of a model with ${config.layers}`)
  const values =
    "tokens" in pass.input ? undefined : "embeddings" in pass.input ? pass.input.embeddings : pass.input.hidden
  if (from > 0 && "tokens" in pass.input) bad(`a span that starts at layer ${from} needs hidden states, found tokens`)
  const rows = "tokens" in pass.input ? pass.input.tokens.length : values!.length / config.hidden
  if (!Number.isInteger(rows) || rows < 1) bad(`input: needs at least one whole row of ${config.hidden} values`)
  if ("tokens" in pass.input)
    for (const token of pass.input.tokens)
      if (token < 0 || token >= config.vocabulary)
        bad(`token ${token} is outside the vocabulary of ${config.vocabulary}`)
  const { cache, past } = pastOf(pass, layers, config)
  if (past + rows > config.context)
    throw new ForerunError(
      "E_CONTEXT_LENGTH",
      `${past} cached and ${rows} new positions exceed the context of ${config.context}`,
    )
  const positions = pass.positions ?? Int32Array.from({ length: rows }, (_, i) => past + i)
  if (positions.length !== rows) bad(`${rows} rows need ${rows} positions, found ${positions.length}`)
  for (const position of positions)
    if (position < 0 || position >= config.context)
      bad(`position ${position} is outside the context of ${config.context}`)
  const mask = pass.mask ?? "causal"
  const window = Math.min(...config.layer.slice(from, to).map((layer) => layer.slidingWindow ?? Infinity))
  checkMask(mask, rows, past, { window, positions, pastPositions: cache?.positions ?? none })
  const wanted = wantedOf(pass, rows, config)
  return { input: pass.input, values, rows, cache: cache ?? open(), past, positions, mask, layers, ...wanted }
}

function pastOf({ cache }: ForwardPass, [from, to]: readonly [number, number], config: ModelConfig) {
  if (cache === undefined) return { cache, past: 0 }
  if (!(cache instanceof HostCache)) bad("cache: needs a cache opened by this model")
  if (cache.disposed) throw new ForerunError("E_DISPOSED", "the cache was disposed")
  const past = cache.lengths[Math.min(from, config.layers - 1)] ?? 0
  for (let layer = from; layer < to; layer++)
    if (cache.lengths[layer] !== past) bad(`layers [${from}, ${to}) hold caches of different lengths`)
  return { cache, past }
}

function wantedOf(
  { want = {}, layers = [0, Number.POSITIVE_INFINITY] }: ForwardPass,
  rows: number,
  config: ModelConfig,
): Pick<Resolved, "logitRows" | "top" | "hidden"> {
  const [from, to] = [layers[0], Math.min(layers[1], config.layers)]
  const logitRows = rowsWanted(want.logits ?? (want.top ? "last" : "none"), rows)
  const top = want.top ?? 0
  if (!Number.isInteger(top) || top < 0 || top > config.vocabulary)
    bad(`top ${top} of a vocabulary of ${config.vocabulary}`)
  const hidden = want.hidden ?? []
  for (const layer of hidden)
    if (layer !== "final" && !(Number.isInteger(layer) && layer >= from && layer <= to))
      bad(`hidden state ${layer} of layers [${from}, ${to})`)
  return { logitRows, top, hidden }
}

const none = new Int32Array(0)

function rowsWanted(want: "last" | "all" | "none" | readonly number[], rows: number): readonly number[] {
  if (want === "none") return []
  if (want === "last") return [rows - 1]
  if (want === "all") return Array.from({ length: rows }, (_, i) => i)
  for (const row of want) if (!Number.isInteger(row) || row < 0 || row >= rows) bad(`logits of row ${row} of ${rows}`)
  return want
}

function bad(problem: string): never {
  throw new ForerunError("E_INPUT", problem)
}
