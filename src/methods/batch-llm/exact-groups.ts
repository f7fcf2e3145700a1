/** The best way to give every prompt at most one shared prefix: a dynamic program over the tree, exact. */
import type { PrefixTree, TreeNode } from "./prefix-tree.ts"

/** Prompts that share their first `prefixLength` tokens; 0: they share nothing. */
export interface Grouping {
  readonly prefixLength: number
  readonly prompts: readonly number[]
}

/**
 * A chosen node costs its whole path once; a prompt then costs what lies behind its deepest chosen ancestor. Since that
 * ancestor alone decides, the cheapest choice below a node is a function of its depth (§6.2, "exact single-level optimum").
 * @param usable depth of a node → how much of its path a group may share (rounded down to whole blocks)
 */
export function exactGroups(
  { root, nodes }: PrefixTree,
  lengths: readonly number[],
  usable: (depth: number) => number,
): Grouping[] {
  const levels = new Map<TreeNode, number>([[root, 0]])
  for (const node of nodes) if (node.parent) levels.set(node, levels.get(node.parent)! + 1)
  // below[node][i]: cost of all under the node if its i-th ancestor is the deepest chosen one; the last entry is itself.
  // Entry 0 stands for the root: nothing is shared.
  const below = new Map<TreeNode, Float64Array>()
  const chosen = new Map<TreeNode, Uint8Array>()
  for (const node of nodes) below.set(node, new Float64Array(levels.get(node)! + 1))
  for (let i = nodes.length - 1; i > 0; i--) {
    const node = nodes[i]!
    const level = levels.get(node)!
    const costs = below.get(node)!
    for (const [ancestor, depth] of pathDepths(node, level, usable).entries())
      for (const id of node.prompts) costs[ancestor]! += lengths[id]! - depth
    const alone = usable(node.end) + costs[level]!
    const choices = new Uint8Array(level)
    const above = below.get(node.parent!)!
    for (let ancestor = 0; ancestor < level; ancestor++) {
      const isChosen = alone < costs[ancestor]!
      choices[ancestor] = isChosen ? 1 : 0
      above[ancestor]! += isChosen ? alone : costs[ancestor]!
    }
    chosen.set(node, choices)
    below.delete(node)
  }
  return collect(nodes, levels, (node, ancestor) => chosen.get(node)![ancestor] === 1, usable)
}

/** Usable depths of the ancestors of `node`, the root first and itself last. */
function pathDepths(node: TreeNode, level: number, usable: (depth: number) => number): Float64Array {
  const depths = new Float64Array(level + 1)
  let at: TreeNode | undefined = node
  for (let i = level; i > 0; i--) {
    depths[i] = usable(at!.end)
    at = at!.parent
  }
  return depths
}

function collect(
  nodes: readonly TreeNode[],
  levels: ReadonlyMap<TreeNode, number>,
  isChosen: (node: TreeNode, ancestor: number) => boolean,
  usable: (depth: number) => number,
): Grouping[] {
  const groups = new Map<TreeNode, number[]>()
  const owners = new Map<TreeNode, TreeNode>()
  for (const node of nodes) {
    const above = node.parent ? owners.get(node.parent)! : node
    const owner = node.parent && isChosen(node, levels.get(above)!) ? node : above
    owners.set(node, owner)
    if (node.prompts.length === 0) continue
    const group = groups.get(owner) ?? []
    groups.set(owner, group)
    for (const id of node.prompts) group.push(id)
  }
  return [...groups].map(([node, prompts]) => ({ prefixLength: usable(node.end), prompts }))
}
