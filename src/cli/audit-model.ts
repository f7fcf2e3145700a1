/** Scans one model for hidden text, in pieces that are kept in a file, so that an interrupted audit goes on. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import type { Model } from "../generate/model.ts"
import type { ModelFindings } from "../methods/token-forcing/report.ts"
import { isKept } from "../methods/token-forcing/score.ts"
import type { Attacked, AuditInput, AuditOutcome, Expanded, Scanned } from "../methods/token-forcing/token-forcing.ts"
import { createItemProgress } from "./item-progress.ts"
import { openResumed, type ResumedFile, type ResumedLine, withFields } from "./resumed-file.ts"

export interface AuditSettings {
  /** Of the method, all of them. */
  readonly options: Readonly<Record<string, number | boolean | string>> & { readonly threshold: number }
  readonly firstTokens: number | undefined
  readonly signal: AbortSignal
}

/** A piece of the scan: small enough to lose, large enough not to be felt. */
const piece = 512
const expandedPiece = 32

export function openProgress(folder: string | undefined, name: string, settings: Readonly<Record<string, unknown>>) {
  if (folder === undefined) return undefined
  try {
    mkdirSync(folder, { recursive: true })
  } catch (thrown) {
    throw new ForerunError("E_IO", `cannot make ${folder}: ${(thrown as Error).message}`, { cause: thrown })
  }
  return openResumed(join(folder, `${name}.jsonl`), settings)
}

/** Both phases. @throws E_ABORTED and what running throws */
export async function auditModel(
  model: Model,
  { options, firstTokens, signal }: AuditSettings,
  file: ResumedFile | undefined,
): Promise<ModelFindings> {
  const size = Math.min(await vocabularyOf(model), firstTokens ?? Number.POSITIVE_INFINITY)
  const scores = new Map<number, number>()
  const kept: Scanned[] = []
  const bar = createItemProgress(size, "first tokens")
  try {
    for (let start = 0; start < size; start += piece) {
      const tokens = Array.from({ length: Math.min(piece, size - start) }, (_, i) => start + i)
      const found = await remembered(
        file,
        { key: `scan ${start}-${start + tokens.length}`, fits: isScanned },
        async () => {
          const { scanned } = await outcomeOf(model, { phase: "scan", tokens }, { options, signal })
          return {
            scores: scanned.map(({ score }) => score),
            kept: scanned.filter(({ score }) => isKept(score, options)),
          }
        },
      )
      for (const [i, score] of found.scores.entries()) scores.set(start + i, score)
      kept.push(...found.kept)
      bar.update(start + tokens.length)
    }
  } finally {
    bar.stop()
  }
  const tokens = kept.map(({ token }) => token)
  return { scores, kept, expanded: await lookCloser(model, tokens, { options, signal }, file) }
}

/** What follows these tokens, greedily. */
export async function lookCloser(
  model: Model,
  all: readonly number[],
  { options, signal }: Pick<AuditSettings, "options" | "signal">,
  file: ResumedFile | undefined,
): Promise<Expanded[]> {
  const bar = createItemProgress(all.length, "tokens looked at closer")
  const expanded: Expanded[] = []
  try {
    for (let start = 0; start < all.length; start += expandedPiece) {
      const tokens = all.slice(start, start + expandedPiece)
      const found = await remembered(file, { key: `expand ${tokens.join(" ")}`, fits: isExpanded }, async () => ({
        expanded: (await outcomeOf(model, { phase: "expand", tokens }, { options, signal })).expanded,
      }))
      expanded.push(...found.expanded)
      bar.update(start + tokens.length)
    }
  } finally {
    bar.stop()
  }
  return expanded
}

export async function attackModel(
  model: Model,
  prefixes: readonly string[],
  { options, signal }: AuditSettings,
): Promise<readonly Attacked[]> {
  if (prefixes.length === 0) return []
  return (await outcomeOf(model, { phase: "attack", prefixes }, { options, signal })).attacked
}

interface ScannedPiece {
  readonly scores: readonly number[]
  readonly kept: readonly Scanned[]
}
const isScanned = withFields<ScannedPiece>({ scores: "list", kept: "list" })

interface ExpandedPiece {
  readonly expanded: readonly Expanded[]
}
const isExpanded = withFields<ExpandedPiece>({ expanded: "list" })

interface Piece<T> {
  readonly key: string
  readonly fits: (line: ResumedLine) => line is ResumedLine & T
}

async function remembered<T extends object>(
  file: ResumedFile | undefined,
  { key, fits }: Piece<T>,
  make: () => Promise<T>,
): Promise<T> {
  const before = file?.read(key, fits)
  if (before) return before
  const made = await make()
  file?.append(key, made)
  return made
}

async function outcomeOf(
  model: Model,
  input: AuditInput,
  run: Pick<AuditSettings, "options" | "signal">,
): Promise<AuditOutcome> {
  const steps = model.run<AuditOutcome>("token-forcing", input, run)
  for (;;) {
    const next = await steps.next()
    if (next.done) return next.value
  }
}

/** Ids that the tokenizer and the model both know. */
async function vocabularyOf(model: Model): Promise<number> {
  let [low, high] = [0, model.info.config.vocabulary]
  while (low < high) {
    const middle = (low + high) >> 1
    const known = await model.detokenize([middle]).then(
      () => true,
      () => false,
    )
    if (known) low = middle + 1
    else high = middle
  }
  return low
}
