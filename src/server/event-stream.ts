/** Server-sent events: one `data:` line each, comments while nothing happens, and an end that stops the source. */

export interface EventStreamOptions {
  readonly pingMs: number
  /** Called once, when the reader has left or everything was sent. */
  readonly onEnd: (reason: "sent" | "left") => void
  /** Events carry their `type` as their name too. */
  readonly isNamed?: boolean
  /** The last event after a failure. */
  readonly failure: (thrown: unknown) => unknown
}

export const eventHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
}

const encoder = new TextEncoder()
const encode = (text: string): Uint8Array => encoder.encode(text)
/** JSON has no line ends of its own, so an event is always one line. */
const dataLine = (value: unknown): string => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`
const eventLine = (value: unknown, isNamed: boolean): string =>
  isNamed && typeof value === "object" && value !== null && "type" in value ? `event: ${value.type}\n` : ""

/** Pulls: nothing is asked of `events` before the reader has room. Texts are sent as they are, all else as JSON. */
export function eventStream(events: AsyncGenerator<unknown>, options: EventStreamOptions): ReadableStream<Uint8Array> {
  let coming: Promise<IteratorResult<unknown>> | undefined
  let isOver = false
  const written = (value: unknown) => encode(eventLine(value, options.isNamed ?? false) + dataLine(value))
  const end = (reason: "sent" | "left") => {
    if (!isOver) options.onEnd(reason)
    isOver = true
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      coming ??= events.next()
      try {
        const next = await within(coming, options.pingMs)
        if (next === undefined) return controller.enqueue(encode(": ping\n\n"))
        coming = undefined
        if (!next.done) return controller.enqueue(written(next.value))
      } catch (thrown) {
        if (isOver) return
        controller.enqueue(written(options.failure(thrown)))
      }
      end("sent")
      controller.close()
    },
    async cancel() {
      end("left")
      coming?.catch(() => {})
      await events.return(undefined).catch(() => {})
    },
  })
}

/** undefined when it takes longer. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
