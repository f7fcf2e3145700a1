/** Rules that decide which drafted tokens stay, from the target's laws. Pure, in float64; all chance comes from dice. */
import { ForerunError } from "../base/errors.ts"
import { entropy } from "../tensor/math.ts"
import type { Random } from "../tensor/random.ts"
import { type CandidateTree, childrenOf, leafPaths } from "./candidate-tree.ts"
import { createLaw, drawFrom, type Law, mostLikely } from "./law.ts"

/** A rule's chance. A rule never sees a number, so all its outcomes can be enumerated, with their probabilities. */
export interface Dice {
  /** True with this probability; 0 is never, 1 always. */
  accepts(probability: number): boolean
  draw(law: Law): number
}

/** One number of `draws` for each token drawn, one of `accepts` for each decision. */
export const createDice = (accepts: Random, draws: Random): Dice => ({
  accepts: (probability) => accepts.next() < probability,
  draw: (law) => drawFrom(law, draws.next()),
})

export interface VerifiedTree {
  readonly tree: CandidateTree
  /** The target's law of the token after `node`, all processing done; -1: after the pending token. */
  law(node: number): Law
  /** The law that the children of `node` were drawn from, in order and without replacement; undefined: not by chance. */
  draftLaw(node: number): Law | undefined
}

export interface Verdict {
  /** Accepted nodes, from below the pending token. */
  readonly path: readonly number[]
  /** The token after them, from the target. */
  readonly next: number
}

export type AcceptRule = (verified: VerifiedTree, dice: Dice) => Verdict

/**
 * Draws a token from each law on the way and goes on while the draft has it. It is plain decoding that looks up what
 * was computed ahead: with the same draws the same tokens, whatever the draft. With point laws it is the greedy rule.
 */
export const sampleAndMatch: AcceptRule = (verified, dice) =>
  walk(verified, (law, children) => {
    const token = dice.draw(law)
    return { token, child: children.find((node) => verified.tree.tokens[node] === token) }
  })

/** Leviathan et al. 2023, for trees as in SpecInfer: siblings in turn, each against what the others left over. */
export const ratio: AcceptRule = (verified, dice) =>
  walk(verified, (law, children, node) =>
    chooseSibling(law, verified.draftLaw(node), dice, tokensOf(verified, children)),
  )

/** As if every drafted token had been chosen without chance (its draft law a point mass). */
export const pointMass: AcceptRule = (verified, dice) =>
  walk(verified, (law, children) => chooseSibling(law, undefined, dice, tokensOf(verified, children)))

type Sibling = { readonly node: number; readonly token: number }
type Choice = { readonly token: number; readonly child: number | undefined }

const tokensOf = ({ tree }: VerifiedTree, nodes: readonly number[]): Sibling[] =>
  nodes.map((node) => ({ node, token: tree.tokens[node]! }))

function walk(
  verified: VerifiedTree,
  choose: (law: Law, children: readonly number[], node: number) => Choice,
): Verdict {
  const children = childrenOf(verified.tree)
  const path: number[] = []
  for (let node = -1; ; ) {
    const { token, child } = choose(verified.law(node), children[node + 1]!, node)
    if (child === undefined) return { path, next: token }
    path.push(child)
    node = child
  }
}

/** Accepts a sibling with min(1, p/q); after each refusal p becomes what of it exceeds q, and q loses that token. */
function chooseSibling(target: Law, draft: Law | undefined, dice: Dice, siblings: readonly Sibling[]): Choice {
  let [law, left] = [target, draft]
  for (const { node, token } of siblings) {
    const share = left ? left.prob(token) : 1
    // Not the law it was drawn from: then nothing below would be right either.
    if (share === 0) throw new ForerunError("E_INTERNAL", `token ${token} was drafted with probability 0`)
    if (dice.accepts(Math.min(1, law.prob(token) / share))) return { token, child: node }
    law = left ? residual(law, left) : without(law, token)
    left = left && without(left, token)
  }
  return { token: dice.draw(law), child: undefined }
}

/** Below this mass two laws are one, and a refusal has no probability worth the name. */
const nothing = 1e-12

/** The law proportional to max(0, p - q); p itself where nothing of it exceeds q. */
export function residual(p: Law, q: Law): Law {
  const weights = new Float64Array(p.ids.length)
  let mass = 0
  for (let i = 0, j = 0; i < weights.length; i++) {
    const id = p.ids[i]!
    while (j < q.ids.length && q.ids[j]! < id) j++
    const taken = q.ids[j] === id ? q.probs[j]! : 0
    weights[i] = Math.max(0, p.probs[i]! - taken)
    mass += weights[i]!
  }
  return mass < nothing ? p : createLaw(p.ids, weights)
}

/** The law given that the token is not this one; the law itself where there is no other. */
export function without(law: Law, token: number): Law {
  const weights = law.probs.map((prob, i) => (law.ids[i] === token ? 0 : prob))
  return weights.some((weight) => weight > 0) ? createLaw(law.ids, weights) : law
}

/**
 * Typical acceptance (Medusa, arXiv 2401.10774 §2.3.1). Lossy: it keeps what is likely enough, so the output does not
 * follow the target's law. Keeps the longest accepted line, of equals the likeliest, then takes the likeliest token.
 * @param epsilon share of probability that always suffices
 * @param delta the same for an undecided law, times exp(-entropy)
 */
export const typical =
  (epsilon: number, delta: number): AcceptRule =>
  (verified) => {
    const { tokens, parents } = verified.tree
    const shares = new Map<number, number>() // of the accepted nodes
    for (const [node, token] of tokens.entries()) {
      if (parents[node]! >= 0 && !shares.has(parents[node]!)) continue
      const law = verified.law(parents[node]!)
      if (law.prob(token) > typicalThreshold(law, epsilon, delta)) shares.set(node, law.prob(token))
    }
    let best: { path: readonly number[]; score: number } = { path: [], score: 0 }
    for (const line of leafPaths(verified.tree)) {
      const path = line.filter((node) => shares.has(node)) // whole from the top: nothing is accepted below a refusal
      const score = path.reduce((sum, node) => sum + Math.log(shares.get(node)!), 0)
      if (path.length > best.path.length || (path.length === best.path.length && score > best.score))
        best = { path, score }
    }
    return { path: best.path, next: mostLikely(verified.law(best.path.at(-1) ?? -1)) }
  }

export const typicalThreshold = (law: Law, epsilon: number, delta: number): number =>
  Math.min(epsilon, delta * Math.exp(-entropy(law.probs)))
