/** The same work for many items, several at a time. */

/**
 * Starts items in their order, never more than `lanes` at a time. After a failure no further one starts; those that run
 * are waited for, so that nothing they use is closed under them.
 * @throws what the first that failed threw
 */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const waiting = items.entries()
  let failed = false
  const lane = async () => {
    for (const [index, item] of waiting) {
      if (failed) return
      await work(item, index).catch((thrown: unknown) => {
        failed = true
        throw thrown
      })
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(lanes, items.length) }, lane))
  for (const end of ends) if (end.status === "rejected") throw end.reason
}
