/** What prompts began with, a node for each block of 128 tokens: read once for all that begin with it, then kept a while. */
import { blockSize } from "../models/builder.ts"
import type { KvCache } from "./kv-cache.ts"
import type { ModelRunner } from "./pass.ts"

interface Node {
  /** By the tokens of their block. */
  readonly children: Map<string, Node>
  readonly parent: Node | undefined
  readonly key: string
  /** Holds every block down to this one; there when `ready` is. */
  cache: KvCache | undefined
  ready: Promise<void>
  /** Those who are on their way through it. */
  users: number
  used: number
}

export class PrefixTree {
  readonly #runner: ModelRunner
  readonly #most: number
  readonly #root: Node = { ...newNode(undefined, ""), ready: Promise.resolve() }
  #blocks = 0
  #clock = 0

  /** @param most blocks to hold; while they are in use there may be more */
  constructor(runner: ModelRunner, most: number) {
    this.#runner = runner
    this.#most = most
  }

  get blocks(): number {
    return this.#blocks
  }

  /**
   * A cache with the whole blocks that the prompt begins with, at least one token left out; the caller disposes it.
   * Blocks that are not there yet are read, by the first who asks; aborted, it holds what there was.
   */
  async open(tokens: Int32Array, signal: AbortSignal): Promise<KvCache> {
    const way: Node[] = []
    try {
      for (let end = blockSize; end < tokens.length && !signal.aborted; end += blockSize) {
        const node = this.#child(way.at(-1) ?? this.#root, tokens.subarray(end - blockSize, end))
        node.users++
        way.push(node)
        node.used = ++this.#clock
        await node.ready
      }
      return way.at(-1)?.cache?.fork() ?? this.#runner.openCache()
    } finally {
      for (const node of way) node.users--
      this.#evict()
    }
  }

  dispose(): void {
    for (const node of [...leavesFirst(this.#root)]) this.#remove(node)
  }

  #child(parent: Node, block: Int32Array): Node {
    const key = block.join()
    const known = parent.children.get(key)
    if (known) return known
    const node = newNode(parent, key)
    parent.children.set(key, node)
    this.#blocks++
    node.ready = this.#read(node, block).catch((thrown: unknown) => {
      this.#remove(node) // the next who comes tries again
      throw thrown
    })
    node.ready.catch(() => {})
    return node
  }

  async #read(node: Node, block: Int32Array): Promise<void> {
    const cache = node.parent?.cache?.fork() ?? this.#runner.openCache()
    try {
      const pass = await this.#runner.forward({ input: { tokens: block.slice() }, cache, want: { logits: "none" } })
      pass.keep(Array.from(block, (_, row) => row))
      node.cache = cache
    } catch (thrown) {
      cache.dispose()
      throw thrown
    }
  }

  /** The least recently used leaf goes first. */
  #evict(): void {
    while (this.#blocks > this.#most) {
      let oldest: Node | undefined
      for (const node of leavesFirst(this.#root))
        if (node.users === 0 && node.children.size === 0 && node.used < (oldest?.used ?? Number.POSITIVE_INFINITY))
          oldest = node
      if (!oldest) return
      this.#remove(oldest)
    }
  }

  #remove(node: Node): void {
    if (node.parent?.children.get(node.key) !== node) return
    node.parent.children.delete(node.key)
    node.cache?.dispose()
    this.#blocks--
  }
}

function newNode(parent: Node | undefined, key: string): Node {
  return { children: new Map(), parent, key, cache: undefined, ready: Promise.resolve(), users: 0, used: 0 }
}

/** Every node below this one, children before their parents. */
function* leavesFirst(node: Node): Generator<Node> {
  for (const child of node.children.values()) {
    yield* leavesFirst(child)
    yield child
  }
}
