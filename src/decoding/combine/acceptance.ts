/** How often what a drafter drafts comes true, kept apart by grade: like tokens with like. One for each drafter and run. */

export interface Acceptance {
  /** Probability that a token of this grade is accepted when the one above it was: rather too low than too high. */
  chance(grade: number): number
  /** That one of the tokens drafted for a place is accepted, when those above them were: before they are drafted. */
  overall(): number
  observe(grade: number, isAccepted: boolean): void
  /** @param isAccepted whether any of the tokens drafted for a place was */
  observePlace(isAccepted: boolean): void
}

export interface Evidence {
  readonly accepted: number
  readonly tried: number
}

/** What is believed of a grade before anything was seen. */
export type Expectation = (grade: number) => number

/** Tries that an expectation is worth, of a drafter that may be anything. */
const usualTrust = 8
/** Weight of evidence after each further try: about the last fifty count. */
const memory = 0.98
const none: Evidence = { accepted: 0, tried: 0 }

export const withTry = ({ accepted, tried }: Evidence, isAccepted: boolean): Evidence => ({
  accepted: memory * accepted + (isAccepted ? 1 : 0),
  tried: memory * tried + 1,
})

/** Standard errors that are taken off: of several chances the one that is overrated looks best, so doubt must cost. */
const caution = 1

/** The share accepted, drawn towards what was expected where little was tried, less what it may be overrated by. */
export function believed({ accepted, tried }: Evidence, expected: number, trust = usualTrust): number {
  const all = trust + tried
  const share = (trust * expected + accepted) / all
  return Math.max(0, share - caution * Math.sqrt((share * (1 - share)) / all))
}

/**
 * Grades learn from each other: where fewer tokens come true than expected, all expectations fall by as much. So a text
 * that leads a drafter astray is known after a few tokens, not after a few of each grade.
 */
export function createAcceptance(expected: Expectation, trust = usualTrust): Acceptance {
  const grades = new Map<number, Evidence>()
  let all = none
  let hoped = 0 // tokens of `all` that were expected to be accepted
  let places = none
  const scale = () => (trust / 2 + all.accepted) / (trust / 2 + hoped)
  return {
    chance: (grade) => believed(grades.get(grade) ?? none, Math.min(most, expected(grade) * scale()), trust),
    overall: () => believed(places, expected(Number.NaN), trust),
    observe(grade, isAccepted) {
      grades.set(grade, withTry(grades.get(grade) ?? none, isAccepted))
      all = withTry(all, isAccepted)
      hoped = memory * hoped + expected(grade)
    },
    observePlace(isAccepted) {
      places = withTry(places, isAccepted)
    },
  }
}

/** Nothing is certain before it was seen. */
const most = 0.97
