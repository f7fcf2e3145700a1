/** The control a plan is compared with: a prefix cache that keeps what was used last, prompts in the order given. */

/**
 * Tokens that are read when full blocks of a prompt are looked up by everything before them, and the blocks used longest
 * ago make room. One prompt at a time.
 * @param capacity positions the cache holds
 */
export function lruPrefillTokens(
  prompts: Iterable<ArrayLike<number>>,
  { capacity, blockSize = 16 }: { readonly capacity: number; readonly blockSize?: number },
): number {
  const blocks = new Map<string, true>() // the least recently used first
  const names = new Map<string, number>()
  let read = 0
  for (const prompt of prompts) {
    let name = 0 // stands for all tokens up to here
    let isHit = true
    const path: string[] = []
    for (let start = 0; start + blockSize <= prompt.length; start += blockSize) {
      const key = `${name}:${Array.prototype.slice.call(prompt, start, start + blockSize).join()}`
      name = names.get(key) ?? names.size + 1
      names.set(key, name)
      isHit &&= blocks.has(key)
      if (!isHit) read += blockSize
      path.push(key)
    }
    read += prompt.length % blockSize
    // From the end, so that a block is never older than those that are useless without it.
    for (const key of path.reverse()) {
      blocks.delete(key)
      blocks.set(key, true)
    }
    for (const key of blocks.keys()) {
      if (blocks.size * blockSize <= capacity) break
      blocks.delete(key)
    }
  }
  return read
}
