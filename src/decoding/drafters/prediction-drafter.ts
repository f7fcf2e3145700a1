/** Drafts what the expected text has next, wherever in it the answer stands. */
import { chainOf, emptyTree } from "../candidate-tree.ts"
import type { Drafter } from "../speculate.ts"
import { gradeOfMatch } from "./lookup-drafter.ts"
import { createFollower } from "./prediction-follower.ts"

/** @param begin index of the answer's first token in the text */
export function createPredictionDrafter(prediction: readonly number[], begin: number): Drafter {
  const follower = createFollower(prediction)
  let read = begin
  return {
    async propose({ tokens, room }) {
      follower.read(tokens.slice(read))
      read = tokens.length
      const place = follower.place()
      if (!place) return { tree: emptyTree, predicted: [] }
      const drafted = prediction.slice(place.at, place.at + room.depth)
      return {
        tree: chainOf(drafted),
        // Once accepted, a token makes the agreement one longer.
        grades: drafted.map((_, i) => gradeOfMatch(place.agreed + i)),
        predicted: drafted.map((_, node) => node),
      }
    },
  }
}
