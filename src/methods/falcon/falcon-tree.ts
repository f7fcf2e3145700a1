/** Falcon's fixed tree for two tokens a pass. */
import { sparseTree } from "../../decoding/sparse-tree.ts"

/**
 * Chances by which the tree is laid out, by depth and rank: the first token of a pass comes true more often than the
 * second, which does not know the first, and each pass a little less often than the one before.
 */
const chances: readonly (readonly number[])[] = [
  [0.5, 0.13, 0.07, 0.05, 0.03, 0.02],
  [0.35, 0.12, 0.07, 0.05, 0.03, 0.02],
  [0.45, 0.12, 0.06, 0.04, 0.03],
  [0.3, 0.1, 0.06, 0.04],
  [0.4, 0.1, 0.05],
  [0.28, 0.08, 0.05],
]

/** The best tree of its size if these are the chances. */
export const falconTree = sparseTree(chances, 31)
