/** The paper's way to one shared prefix a prompt: promote a node when that saves tokens. Greedy, not always the best. */
import type { Grouping } from "./exact-groups.ts"
import type { PrefixTree, TreeNode } from "./prefix-tree.ts"

interface Node {
  /** Depths: the node's own tokens begin and end here. Promotion puts the parent's tokens in front. */
  start: number
  end: number
  parent: Node | undefined
  children: Set<Node>
  prompts: readonly number[]
  /** Prompts at or below it; what was promoted out of it counts no more. */
  width: number
}

/** Algorithm of §6.2 as the released code runs it; a prompt that is a prefix of another is no special case here. */
export function paperGroups(tree: PrefixTree): Grouping[] {
  const nodes = copyTree(tree)
  const root = nodes[0]!
  for (let i = nodes.length - 1; i > 0; i--) promoteFrom(nodes[i]!)
  const groups = [...root.children].map((node) => ({ prefixLength: node.end, prompts: promptsUnder(node) }))
  return root.prompts.length > 0 ? [...groups, { prefixLength: 0, prompts: root.prompts }] : groups
}

/** Control: the groups are the root's children as they are, without promotion. */
export function firstLevelGroups({ root }: PrefixTree): Grouping[] {
  const groups = [...root.children.values()].map((node) => ({ prefixLength: node.end, prompts: promptsUnder(node) }))
  return root.prompts.length > 0 ? [...groups, { prefixLength: 0, prompts: root.prompts }] : groups
}

function copyTree({ nodes }: PrefixTree): Node[] {
  const copies = new Map<TreeNode, Node>()
  for (const node of nodes) {
    const { start, end, prompts } = node
    const parent = node.parent && copies.get(node.parent)
    const copy: Node = { start, end, parent, children: new Set(), prompts, width: prompts.length }
    parent?.children.add(copy)
    copies.set(node, copy)
  }
  const all = [...copies.values()]
  for (let i = all.length - 1; i > 0; i--) all[i]!.parent!.width += all[i]!.width
  return all
}

/** `c` in the paper: children of it that gain by standing beside it do so; a single one left is merged into it. */
function promoteFrom(node: Node): void {
  const above = node.parent!
  const own = node.end - node.start
  for (const child of [...node.children]) {
    // Each promotion is charged the node's own tokens, though the last one would free them: hence not optimal.
    const gain = (child.width - 1) * (child.end - child.start) - own
    if (gain <= 0) continue
    node.children.delete(child)
    node.width -= child.width
    child.start = node.start
    child.parent = above
    above.children.add(child)
  }
  const [only] = node.children
  if (node.width === 0) above.children.delete(node)
  else if (only && node.children.size === 1 && node.prompts.length === 0) {
    node.end = only.end
    node.prompts = only.prompts
    node.children = only.children
    for (const child of node.children) child.parent = node
  }
}

interface Under {
  readonly prompts: readonly number[]
  readonly children: { values(): Iterable<Under> }
}

function promptsUnder(node: Under): number[] {
  const found: number[] = []
  const waiting: Under[] = [node]
  for (const { prompts, children } of waiting) {
    for (const id of prompts) found.push(id)
    for (const child of children.values()) waiting.push(child)
  }
  return found
}
