/** Who may run now: a bounded queue, in turns by caller, so that one who asks much does not keep the others waiting. */
import { ApiError } from "./api-error.ts"

export interface Admission {
  readonly running: number
  readonly waiting: number
  /**
   * Waits for a turn. The returned function gives it back, once however often it is called.
   * @param caller whose turn it is: turns go round by caller
   * @throws ApiError 429 when too many wait, 503 when the server is closing; what `signal` was aborted for
   */
  enter(caller: string, signal: AbortSignal): Promise<() => void>
  /** Nobody enters any more; resolves when the last one has left. */
  close(): Promise<void>
}

interface Waiter {
  readonly start: () => void
}

export function createAdmission({
  parallel,
  waiting: most,
}: {
  readonly parallel: number
  readonly waiting: number
}): Admission {
  /** Callers in the order of their turns; each has at least one waiter. */
  const queues = new Map<string, Waiter[]>()
  let [running, waiting, isClosing] = [0, 0, false]
  /** Milliseconds a turn takes, a moving mean. */
  let usual = 1000
  let whenIdle = () => {}

  function leave(begin: number): void {
    running--
    usual += (performance.now() - begin - usual) / 8
    next()
    if (running === 0 && waiting === 0) whenIdle()
  }
  function begin(): () => void {
    running++
    const started = performance.now()
    let isLeft = false
    return () => {
      if (isLeft) return
      isLeft = true
      leave(started)
    }
  }
  function next(): void {
    const [turn] = queues
    if (!turn || running >= parallel) return
    const [caller, queue] = turn
    const waiter = queue.shift()!
    queues.delete(caller)
    if (queue.length > 0) queues.set(caller, queue) // behind the others
    waiting--
    waiter.start()
  }
  function forget(caller: string, waiter: Waiter): void {
    const queue = queues.get(caller)
    const at = queue?.indexOf(waiter) ?? -1
    if (at < 0) return
    queue!.splice(at, 1)
    if (queue!.length === 0) queues.delete(caller)
    waiting--
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return waiting
    },
    async enter(caller, signal) {
      signal.throwIfAborted()
      if (isClosing) throw new ApiError(503, "the server is shutting down", { headers: { "retry-after": "5" } })
      if (running < parallel) return begin()
      if (waiting >= most) {
        const seconds = Math.ceil((usual * (waiting + 1)) / parallel / 1000)
        const headers = { "retry-after": String(Math.min(Math.max(seconds, 1), 60)) }
        throw new ApiError(429, `${waiting} requests wait already; try again later`, { code: "queue_full", headers })
      }
      return new Promise((resolve, reject) => {
        const abort = () => {
          forget(caller, waiter)
          reject(signal.reason)
        }
        const waiter: Waiter = {
          start() {
            signal.removeEventListener("abort", abort)
            resolve(begin())
          },
        }
        signal.addEventListener("abort", abort, { once: true })
        queues.set(caller, [...(queues.get(caller) ?? []), waiter])
        waiting++
      })
    },
    close() {
      isClosing = true
      const idle = new Promise<void>((resolve) => {
        whenIdle = resolve
      })
      if (running === 0 && waiting === 0) whenIdle()
      return idle
    },
  }
}
