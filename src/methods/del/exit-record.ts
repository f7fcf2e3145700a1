/** How often an exit would have been right lately, and how sure it was: what DEL decides by (arXiv 2504.05598 §4). Pure. */

/** What an exit would have drafted at one place, beside what the whole model says there. */
export interface ShadowToken {
  readonly matches: boolean
  /** Probability the exit gave it. */
  readonly confidence: number
}

/** Sums over shadow tokens; older rounds count less. */
export interface ExitRecord {
  readonly matches: number
  readonly mismatches: number
  /** Sum of the confidences on matches, and on mismatches. */
  readonly matchConfidence: number
  readonly mismatchConfidence: number
}

export const emptyRecord: ExitRecord = { matches: 0, mismatches: 0, matchConfidence: 0, mismatchConfidence: 0 }

/** @param omega what the evidence so far keeps of its weight, for each further round */
export function updatedRecord(record: ExitRecord, round: readonly ShadowToken[], omega: number): ExitRecord {
  let { matches, mismatches, matchConfidence, mismatchConfidence } = record
  matches *= omega
  mismatches *= omega
  matchConfidence *= omega
  mismatchConfidence *= omega
  for (const token of round)
    if (token.matches) {
      matches++
      matchConfidence += token.confidence
    } else {
      mismatches++
      mismatchConfidence += token.confidence
    }
  return { matches, mismatches, matchConfidence, mismatchConfidence }
}

/** undefined: nothing is known. */
export function acceptanceOf({ matches, mismatches }: ExitRecord): number | undefined {
  return matches + mismatches === 0 ? undefined : matches / (matches + mismatches)
}

/**
 * Between the mean confidence on matches and that on mismatches. undefined while there is none of either: the official
 * code then compares with 0/0 and drafts to its cap.
 */
export function thresholdOf({
  matches,
  mismatches,
  matchConfidence,
  mismatchConfidence,
}: ExitRecord): number | undefined {
  if (matches === 0 || mismatches === 0) return undefined
  return (matchConfidence / matches + mismatchConfidence / mismatches) / 2
}
