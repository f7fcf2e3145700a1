/** What prompts began with, a node for each block of 128 tokens: read once for all that begin with it, then kept a while. */
import { blockSize } from "../models/builder.ts"
import type { KvCache } from "./kv-cache.ts"
import type { ModelRunner } from "./pass.ts"

interface Node {
  /** By the tokens of their block; at the root, by the salt too. */
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

export interface Opened {
  readonly cache: KvCache
  /** Tokens that somebody else had read, or was reading. */
  readonly found: number
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
   * @param salt only what was read with the same one is found
   */
  async open(tokens: Int32Array, signal: AbortSignal, salt = ""): Promise<Opened> {
    const way: Node[] = []
    let found = 0
    try {
      for (let end = blockSize; end < tokens.length && !signal.aborted; end += blockSize) {
        const block = tokens.subarray(end - blockSize, end)
        const parent = way.at(-1)
        // Whoever has another salt has another first block, and so nothing below it in common.
        const key = parent ? block.join() : `${salt}\n${block.join()}`
        const known = (parent ?? this.#root).children.get(key)
        if (known) found = end
        const node = known ?? this.#add(parent ?? this.#root, key, block)
        node.users++
        way.push(node)
        node.used = ++this.#clock
        await node.ready
      }
      return { cache: way.at(-1)?.cache?.fork() ?? this.#runner.openCache(), found }
    } finally {
      for (const node of way) node.users--
      this.#evict()
    }
  }

  dispose(): void {
    for (const node of [...leavesFirst(this.#root)]) this.#remove(node)
  }

  #add(parent: Node, key: string, block: Int32Array): Node {
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
