/** Records of what methods do to answers: rankings, races, audits. Their numbers come from the command's own summary. */
import type { WeightFormat } from "../models/formats.ts"
import type { Machine, Source } from "./machine.ts"
import type { RaceSummary } from "./race-summary.ts"
import type { RankSummary } from "./rank-summary.ts"
import type { ModelSummary } from "./types.ts"

interface Evaluated extends Source {
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  /** Which questions. */
  readonly data: string
}

export interface RankRecord extends Evaluated {
  readonly kind: "rank"
  readonly summary: RankSummary
}

export interface RaceRecord extends Evaluated {
  readonly kind: "race"
  /** Longest lane. */
  readonly maxTokens: number
  readonly summary: RaceSummary
}

export interface AuditRecord extends Evaluated {
  readonly kind: "audit"
  readonly threshold: number
  readonly scanned: number
  /** Above the threshold, and flagged. */
  readonly candidates: number
  readonly flagged: number
  /** Of a run without interruption, from the start of the process. */
  readonly seconds: number
  /** Whether tokens that could not pass any more were left early. */
  readonly early: boolean
  /** Of a model that hides a known text: what brings it out. */
  readonly hidden?: {
    /** Recipes that made it, and its perplexity by that of the model as it was. */
    readonly model: string
    readonly perplexity: number
    /** Of the five tokens whose scores are most above the base model's, those that say the text. */
    readonly risen: number
    /** Prefixes that bring it out, greedily or by rollouts, and those that do not. */
    readonly leaking: readonly string[]
    readonly silent: readonly string[]
  }
}

export type EvaluationRecord = RankRecord | RaceRecord | AuditRecord
