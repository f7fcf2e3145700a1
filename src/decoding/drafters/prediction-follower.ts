/** Follows an answer through a text that was expected: where it stands, and where it went after it strayed. Pure of models. */

export interface Place {
  /** Index in the prediction of the token that is expected next. */
  readonly at: number
  /** Tokens before it that the answer has too, one after the other. */
  readonly agreed: number
}

export interface Follower {
  /** Takes in tokens that were committed to the answer. */
  read(tokens: readonly number[]): void
  /** undefined while lost. */
  place(): Place | undefined
}

/** Longest run of agreeing tokens that is told from a longer one. */
const longest = 32
/** How far from where it was lost an answer is looked for first, in tokens of the prediction. */
const near = { behind: 16, ahead: 64 }
/** Tokens that a place must agree in, and how many more where it is far. */
const needed = 2
const moreIfFar = 2

export function createFollower(prediction: readonly number[]): Follower {
  const answer: number[] = []
  let place: Place | undefined = { at: 0, agreed: 0 }
  let lost = { at: 0, since: 0 } // where, and tokens of the answer since then
  return {
    read(tokens) {
      for (const token of tokens) {
        answer.push(token)
        if (place && prediction[place.at] === token) place = { at: place.at + 1, agreed: place.agreed + 1 }
        else {
          lost = place ? { at: place.at, since: 1 } : { at: lost.at, since: lost.since + 1 }
          place = undefined
        }
        // Looked for at once, so that what follows in the same run of tokens counts as agreeing.
        place ??= findPlace(prediction, answer, lost)
      }
    },
    place: () => place,
  }
}

/**
 * Where in the prediction the answer's end stands: the longest match, one far from where it was lost counted two tokens
 * shorter; of equal ones the nearest. A single token is enough where it is the only one near, or stands as far from
 * there as in the answer: then as many tokens were replaced.
 */
export function findPlace(
  prediction: readonly number[],
  answer: readonly number[],
  lost: { readonly at: number; readonly since: number },
): Place | undefined {
  const inStep = lost.at + lost.since
  let best: (Place & { readonly worth: number; readonly distance: number }) | undefined
  const singles: Place[] = []
  let countNear = 0
  for (let at = 1; at < prediction.length; at++) {
    const agreed = agreement(prediction, at, answer)
    if (agreed === 0) continue
    const isNear = at >= lost.at - near.behind && at <= lost.at + near.ahead
    if (isNear) countNear++
    if (isNear && agreed < needed) singles.push({ at, agreed })
    const worth = agreed - (isNear ? 0 : moreIfFar)
    if (worth < needed) continue
    const distance = Math.abs(at - inStep)
    if (!best || worth > best.worth || (worth === best.worth && distance < best.distance))
      best = { at, agreed, worth, distance }
  }
  if (best) return { at: best.at, agreed: best.agreed }
  return singles.find(({ at }) => at === inStep) ?? (countNear === 1 ? singles[0] : undefined)
}

/** Equal tokens right before `at` in the prediction and at the answer's end. */
function agreement(prediction: readonly number[], at: number, answer: readonly number[]): number {
  const most = Math.min(longest, at, answer.length)
  let count = 0
  while (count < most && prediction[at - 1 - count] === answer[answer.length - 1 - count]) count++
  return count
}
