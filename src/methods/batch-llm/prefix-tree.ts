/** The prefix tree of a whole job: every token that several prompts share stands in it once. */

/** An edge and the node at its end. The path from the root is `source[0..end)`; the edge is `source[start..end)`. */
export interface TreeNode {
  /** A prompt that passes through here; tokens are never copied. */
  readonly source: Int32Array
  start: number
  readonly end: number
  readonly parent: TreeNode | undefined
  readonly children: Map<number, TreeNode>
  /** Prompts whose shareable part ends here. */
  readonly prompts: number[]
}

export interface PrefixTree {
  readonly root: TreeNode
  /** Parents before children. */
  readonly nodes: readonly TreeNode[]
}

/** @param shareable how many leading tokens of each prompt others may share with it */
export function buildTree(prompts: readonly Int32Array[], shareable: readonly number[]): PrefixTree {
  const root = createNode(new Int32Array(0), [0, 0], undefined)
  for (const [id, prompt] of prompts.entries()) insert(root, prompt.subarray(0, shareable[id]!), id)
  const nodes = [root]
  for (const node of nodes) for (const child of node.children.values()) nodes.push(child)
  return { root, nodes }
}

function createNode(source: Int32Array, [start, end]: [number, number], parent: TreeNode | undefined): TreeNode {
  return { source, start, end, parent, children: new Map(), prompts: [] }
}

function insert(root: TreeNode, tokens: Int32Array, id: number): void {
  let node = root
  while (node.end < tokens.length) {
    const first = tokens[node.end]!
    const child = node.children.get(first)
    if (!child) {
      const leaf = createNode(tokens, [node.end, tokens.length], node)
      node.children.set(first, leaf)
      node = leaf
      break
    }
    let end = child.start + 1
    while (end < child.end && end < tokens.length && tokens[end] === child.source[end]) end++
    node = end === child.end ? child : split(child, end)
  }
  node.prompts.push(id)
}

/** Cuts the edge to `node` at depth `at`. @returns the new node in the middle */
function split(node: TreeNode, at: number): TreeNode {
  const middle = createNode(node.source, [node.start, at], node.parent)
  middle.parent!.children.set(node.source[node.start]!, middle)
  middle.children.set(node.source[at]!, node)
  ;(node as { parent: TreeNode }).parent = middle
  node.start = at
  return middle
}
