/** The exact law of anything that gets its chance from dice: every outcome is run, and its probability added up. */
import type { Dice } from "../../src/decoding/accept.ts"

/** Runs `trial` once for each way the dice can fall. @returns outcome → probability */
export function enumerate(trial: (dice: Dice) => string): Map<string, number> {
  const law = new Map<string, number>()
  let script: number[] = [] // which branch to take at each throw
  for (;;) {
    const sizes: number[] = []
    const taken: number[] = []
    let probability = 1
    const branch = (probabilities: readonly number[]): number => {
      const at = script[taken.length] ?? 0
      sizes.push(probabilities.length)
      taken.push(at)
      probability *= probabilities[at]!
      return at
    }
    const outcome = trial({
      accepts: (share) => branch([share, 1 - share]) === 0,
      draw: (one) => one.ids[branch(Array.from(one.probs))]!,
    })
    law.set(outcome, (law.get(outcome) ?? 0) + probability)
    // The next script, counting up from the last throw.
    while (taken.length > 0 && taken.at(-1)! + 1 >= sizes[taken.length - 1]!) taken.pop()
    if (taken.length === 0) return law
    script = [...taken.slice(0, -1), taken.at(-1)! + 1]
  }
}
