/** Acceptance rules against the exact law: every way the dice can fall is enumerated, and known-wrong rules are refused. */
import { describe, expect, test } from "vitest"
import { enumerate } from "../../test/support/enumerate.ts"
import { seeded } from "../../test/support/tiny-model.ts"
import { type AcceptRule, type Dice, pointMass, ratio, residual, sampleAndMatch, typical, without } from "./accept.ts"
import { type CandidateTree, childrenOf } from "./candidate-tree.ts"
import { createLaw, type Law, mostLikely, pointLaw } from "./law.ts"

const ids = (size: number): Int32Array<ArrayBuffer> => Int32Array.from({ length: size }, (_, id) => id)
const lawOf = (weights: readonly number[]): Law => createLaw(ids(weights.length), Float64Array.from(weights))

/** A law with some zeros, some of it very uneven. */
function randomLaw(size: number, random: () => number): Law {
  const weights = Array.from({ length: size }, () => (random() < 0.3 ? 0 : random() ** 3))
  if (!weights.some((weight) => weight > 0)) weights[Math.floor(random() * size)] = 1
  return lawOf(weights)
}

/** A target and a drafter that know a law for every prefix (a few tokens after the pending one). */
interface World {
  p(prefix: readonly number[]): Law
  q(prefix: readonly number[]): Law
}
function randomWorld(size: number, random: () => number, kind: "any" | "same" | "disjoint" = "any"): World {
  const known = new Map<string, Law>()
  const of = (who: string) => (prefix: readonly number[]) => {
    const key = `${who}:${prefix.join()}`
    const law = known.get(key) ?? randomLaw(size, random)
    known.set(key, law)
    return law
  }
  const q = of("q")
  if (kind === "same") return { p: q, q }
  if (kind === "any") return { p: of("p"), q }
  const half = size / 2
  const shifted = (law: Law) =>
    createLaw(
      law.ids.map((id) => id + half),
      law.probs,
    )
  const low = new Map<string, Law>()
  return {
    p: (prefix) => {
      const key = prefix.join()
      if (!low.has(key)) low.set(key, shifted(randomLaw(half, random)))
      return low.get(key)!
    },
    q: (prefix) => lawOf(Array.from(ids(half), (id) => 1 / (1 + id + prefix.length))),
  }
}

type Shape = readonly number[] // parents

/** Drafts by drawing: siblings without replacement. */
function sampledDraft({ q }: World, parents: Shape, dice: Dice) {
  const tokens: number[] = []
  const prefixes: number[][] = []
  const left = new Map<number, Law | undefined>()
  const laws = new Map<number, Law>()
  for (const [node, parent] of parents.entries()) {
    const above = parent < 0 ? [] : prefixes[parent]!
    if (!laws.has(parent)) {
      laws.set(parent, q(above))
      left.set(parent, q(above))
    }
    const law = left.get(parent)!
    const token = dice.draw(law)
    left.set(parent, without(law, token))
    tokens.push(token)
    prefixes[node] = [...above, token]
  }
  return { tree: { tokens, parents }, laws, prefixes }
}

/** Drafts without chance: the drafter's likeliest tokens. */
function pickedDraft({ q }: World, parents: Shape) {
  const dice: Dice = { accepts: () => false, draw: mostLikely }
  return { ...sampledDraft({ p: q, q }, parents, dice), laws: new Map<number, Law>() }
}

/** Law of the first `count` tokens: what the rule gives, then plain draws; as text → probability. */
function outputLaw(
  world: World,
  parents: Shape,
  rule: AcceptRule,
  { sampled, count }: { sampled: boolean; count: number },
) {
  return enumerate((dice) => {
    const { tree, laws, prefixes } = sampled ? sampledDraft(world, parents, dice) : pickedDraft(world, parents)
    const { path, next } = rule(
      { tree, law: (node) => world.p(node < 0 ? [] : prefixes[node]!), draftLaw: (node) => laws.get(node) },
      dice,
    )
    const tokens = [...path.map((node) => tree.tokens[node]!), next].slice(0, count)
    while (tokens.length < count) tokens.push(dice.draw(world.p(tokens)))
    return tokens.join()
  })
}

function worstError(found: ReadonlyMap<string, number>, { p }: World, count: number): number {
  const exact = enumerate((dice) => {
    const tokens: number[] = []
    while (tokens.length < count) tokens.push(dice.draw(p(tokens)))
    return tokens.join()
  })
  const keys = new Set([...found.keys(), ...exact.keys()])
  return Math.max(...[...keys].map((key) => Math.abs((found.get(key) ?? 0) - (exact.get(key) ?? 0))))
}

const rules: readonly [string, AcceptRule, boolean][] = [
  ["ratio, drawn drafts", ratio, true],
  ["ratio, picked drafts", ratio, false],
  ["point mass, picked drafts", pointMass, false],
  ["sample and match, drawn drafts", sampleAndMatch, true],
  ["sample and match, picked drafts", sampleAndMatch, false],
]

describe("lossless rules give the target's law exactly", () => {
  test.each(rules)("%s: one token, 1000 pairs of laws with zeros", (_, rule, sampled) => {
    const random = seeded(5)
    let worst = 0
    for (let pair = 0; pair < 1000; pair++) {
      const world = randomWorld(8, random)
      worst = Math.max(worst, worstError(outputLaw(world, [-1], rule, { sampled, count: 1 }), world, 1))
    }
    expect(worst).toBeLessThan(1e-12)
  })

  test.each(rules)("%s: chains and trees, three tokens", (_, rule, sampled) => {
    const random = seeded(6)
    for (const kind of ["any", "same", "disjoint"] as const)
      for (const parents of [[], [-1, 0], [-1, -1], [-1, -1, 0], [-1, 0, 0]] as Shape[])
        for (let round = 0; round < 3; round++) {
          const world = randomWorld(4, random, kind)
          const wide = kind === "disjoint" && childrenOf({ tokens: [...parents], parents }).some((c) => c.length > 1)
          const law = outputLaw(world, wide ? [-1, 0] : parents, rule, { sampled, count: 3 })
          expect(worstError(law, world, 3)).toBeLessThan(1e-12)
        }
  })
})

describe("known-wrong rules are seen", () => {
  const random = seeded(7)
  const worlds = Array.from({ length: 12 }, () => randomWorld(8, random))
  const gap = (rule: AcceptRule, sampled: boolean, parents: Shape = [-1]) =>
    Math.max(...worlds.map((world) => worstError(outputLaw(world, parents, rule, { sampled, count: 2 }), world, 2)))
  /** One drafted token, accepted with `share(p, q)`, and what follows a refusal. */
  const single =
    (share: (p: number, q: number) => number, after: (p: Law, q: Law, token: number) => Law): AcceptRule =>
    ({ tree, law, draftLaw }, dice) => {
      const [token, p, q] = [tree.tokens[0]!, law(-1), draftLaw(-1) ?? pointLaw(tree.tokens[0]!)]
      if (dice.accepts(Math.min(1, share(p.prob(token), q.prob(token))))) return { path: [0], next: dice.draw(law(0)) }
      return { path: [], next: dice.draw(after(p, q, token)) }
    }
  const left = (p: Law, q: Law) => residual(p, q)

  test("the frame itself is right: with the right parts nothing is seen", () => {
    expect(
      gap(
        single((p, q) => p / q, left),
        true,
      ),
    ).toBeLessThan(1e-12)
    expect(
      gap(
        single(
          (p) => p,
          (p, _, token) => without(p, token),
        ),
        false,
      ),
    ).toBeLessThan(1e-12)
  })

  test.each<[string, AcceptRule, boolean]>([
    [
      "drawing from p after a refusal",
      single(
        (p, q) => p / q,
        (p) => p,
      ),
      true,
    ],
    ["accepting whenever p is at least 0.9 q", single((p, q) => (p >= 0.9 * q ? 1 : p / q), left), true],
    [
      "the drafter's law at another temperature",
      ({ tree, law, draftLaw }, dice) =>
        ratio(
          { tree, law, draftLaw: (node) => lawOf(Array.from(ids(8), (id) => (draftLaw(node)?.prob(id) ?? 1) ** 0.7)) },
          dice,
        ),
      true,
    ],
    [
      "Medusa's nucleus: p accepts, then p again (2p - p²)",
      single(
        (p) => p,
        (p) => p,
      ),
      false,
    ],
    [
      "the bonus token at another temperature",
      ({ tree, law, draftLaw }, dice) =>
        ratio(
          {
            tree,
            draftLaw,
            law: (node) => (node < 0 ? law(node) : lawOf(Array.from(ids(8), (id) => law(node).prob(id) ** 0.6))),
          },
          dice,
        ),
      true,
    ],
    [
      "laws of target and draft swapped by a row",
      ({ tree, law, draftLaw }, dice) => ratio({ tree, draftLaw, law: (node) => law(node < 0 ? 0 : -1) }, dice),
      true,
    ],
    ["typical acceptance", typical(0.09, 0.3), false],
  ])("%s", (_, rule, sampled) => {
    expect(gap(rule, sampled)).toBeGreaterThan(1e-4)
  })

  test("likeliest drafts with the drafter's law", () => {
    const errors = worlds.map((world) => {
      const rule = single((p, q) => p / q, left)
      const lying: AcceptRule = ({ tree, law }, dice) => rule({ tree, law, draftLaw: () => world.q([]) }, dice)
      return worstError(outputLaw(world, [-1], lying, { sampled: false, count: 2 }), world, 2)
    })
    expect(Math.max(...errors)).toBeGreaterThan(1e-4)
  })

  test("siblings judged against the whole draft law", () => {
    const forgetful: AcceptRule = ({ tree, law, draftLaw }, dice) => {
      const q = draftLaw(-1)!
      let p = law(-1)
      for (const [node, token] of tree.tokens.entries()) {
        if (dice.accepts(Math.min(1, p.prob(token) / q.prob(token))))
          return { path: [node], next: dice.draw(law(node)) }
        p = residual(p, q) // q should have lost `token` before the next sibling
      }
      return { path: [], next: dice.draw(p) }
    }
    expect(gap(ratio, true, [-1, -1])).toBeLessThan(1e-12)
    expect(gap(forgetful, true, [-1, -1])).toBeGreaterThan(1e-4)
  })
})

describe("numbers by hand", () => {
  const p = lawOf([0.5, 0.3, 0.2])

  test("two siblings without replacement keep p = (.5, .3, .2), and are accepted with p's share", () => {
    const tree: CandidateTree = { tokens: [0, 1], parents: [-1, -1] }
    const law = enumerate((dice) => {
      const { path, next } = pointMass(
        { tree, law: (node) => (node < 0 ? p : pointLaw(9)), draftLaw: () => undefined },
        dice,
      )
      return path.length > 0 ? `drafted ${tree.tokens[path[0]!]}` : `own ${next}`
    })
    expect(law.get("drafted 0")).toBeCloseTo(0.5, 12)
    expect(law.get("drafted 1")).toBeCloseTo(0.3, 12)
    expect(law.get("own 2")).toBeCloseTo(0.2, 12)
    expect(law.get("own 0") ?? 0).toBe(0)
  })

  test("ratio accepts the overlap of the two laws: sum of min(p, q)", () => {
    const q = lawOf([0.2, 0.2, 0.6])
    const world: World = { p: () => p, q: () => q }
    const law = enumerate((dice) => {
      const { tree, laws } = sampledDraft(world, [-1], dice)
      return `${ratio({ tree, law: () => p, draftLaw: (node) => laws.get(node) }, dice).path.length}`
    })
    expect(law.get("1")).toBeCloseTo(0.2 + 0.2 + 0.2, 12)
    expect(Array.from(residual(p, q).probs)).toEqual([0.75, expect.closeTo(0.25, 12)])
    expect(Array.from(residual(p, q).ids)).toEqual([0, 1])
  })

  test("two laws that are one leave p; a token that is everything cannot be taken away", () => {
    expect(residual(p, p)).toBe(p)
    expect(residual(p, lawOf([0.5, 0.3 - 1e-14, 0.2 + 1e-14]))).toBe(p)
    expect(Array.from(without(pointLaw(4), 4).ids)).toEqual([4])
    expect(Array.from(without(p, 0).probs)).toEqual([0.6, 0.4])
  })

  test("a token drafted with probability 0 is the drafter's fault, one of probability 0 in p is refused", () => {
    const tree: CandidateTree = { tokens: [2], parents: [-1] }
    const fair: Dice = { accepts: (probability) => probability >= 0.5, draw: mostLikely }
    expect(() => ratio({ tree, law: () => p, draftLaw: () => lawOf([1, 1, 0]) }, fair)).toThrow(
      expect.objectContaining({ code: "E_INTERNAL" }),
    )
    const banned = lawOf([0.6, 0.4, 0])
    expect(ratio({ tree, law: () => banned, draftLaw: () => undefined }, fair)).toEqual({ path: [], next: 0 })
  })

  test("greedy: point laws on the worked example accept nodes 1 and 4, then the stop node's likeliest", () => {
    const tree: CandidateTree = { tokens: [21, 22, 31, 32, 31], parents: [-1, -1, 0, 0, 1] }
    const best = new Map([
      [-1, 21],
      [0, 32],
      [3, 77],
    ])
    const dice: Dice = { accepts: (probability) => probability === 1, draw: mostLikely }
    for (const rule of [sampleAndMatch, pointMass, ratio, typical(0.09, 0.3)])
      expect(rule({ tree, law: (node) => pointLaw(best.get(node) ?? 1), draftLaw: () => undefined }, dice)).toEqual({
        path: [0, 3],
        next: 77,
      })
  })

  test("typical: the longest line that is likely enough, of equals the likeliest; it never throws dice", () => {
    const flat = lawOf([1, 1, 1, 1]) // entropy ln 4, so the threshold is 0.3 / 4 = 0.075
    const peaked = lawOf([0.93, 0.05, 0.02, 0]) // threshold 0.09
    const none: Dice = { accepts: () => expect.unreachable(), draw: () => expect.unreachable() }
    const verdict = (tree: CandidateTree, laws: readonly Law[]) =>
      typical(0.09, 0.3)({ tree, law: (node) => laws[node + 1]!, draftLaw: () => undefined }, none)
    expect(verdict({ tokens: [3, 2], parents: [-1, 0] }, [flat, peaked, flat])).toEqual({ path: [0], next: 0 })
    expect(verdict({ tokens: [3, 0], parents: [-1, 0] }, [flat, peaked, flat])).toEqual({ path: [0, 1], next: 0 })
    expect(verdict({ tokens: [1], parents: [-1] }, [peaked, flat])).toEqual({ path: [], next: 0 })
    const uneven = lawOf([0.2, 0.5, 0.3])
    expect(verdict({ tokens: [0, 1, 2], parents: [-1, -1, -1] }, [uneven, flat, flat, flat]).path).toEqual([1])
  })
})
