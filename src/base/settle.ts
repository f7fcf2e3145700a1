/** Waits for several things at once. */

/** Waits for all even when one fails, so that nothing is still at work afterwards; then throws the first failure. */
export async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason
    return result.value
  })
}
