/** Several things at once: each when it is done, and not too many. */

/** Yields what each gives as soon as it is there. The first failure ends it; the others are waited for by the caller. */
export async function* asTheyFinish<T>(promises: readonly Promise<T>[]): AsyncGenerator<T> {
  const running = new Map(promises.map((promise, i) => [i, promise.then((value) => ({ i, value }))]))
  for (const promise of running.values()) promise.catch(() => {}) // reported below, where it is awaited
  while (running.size > 0) {
    const { i, value } = await Promise.race(running.values())
    running.delete(i)
    yield value
  }
}

/** At most `count` hold it at a time; the others wait in order. */
export function createSemaphore(count: number) {
  let free = count
  const waiting: (() => void)[] = []
  return {
    async take(): Promise<void> {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
    give(): void {
      const next = waiting.shift()
      if (next) next()
      else free++
    },
  }
}
