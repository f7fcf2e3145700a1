/** Several answers to one prompt, at the same time: their passes run together. */
import type { StreamEvent } from "../decoding/step.ts"
import type { GenerateResult } from "./types.ts"

type Run = AsyncGenerator<StreamEvent, GenerateResult>

/**
 * The first answer's result lies at the top, all of them under `choices`. Branch b of answer i is branch b·n + i of the
 * stream, so an answer of one branch keeps its own number; each is framed by branch-started and branch-ended.
 */
export async function* sampleMany(n: number, answer: (index: number) => Run): Run {
  const runs = Array.from({ length: n }, (_, index) => answer(index))
  const choices: GenerateResult[] = []
  const pending = new Map<number, Promise<{ index: number; next: IteratorResult<StreamEvent, GenerateResult> }>>()
  const advance = (index: number) =>
    pending.set(
      index,
      runs[index]!.next().then((next) => ({ index, next })),
    )
  try {
    for (let index = 0; index < n; index++) {
      yield { type: "branch-started", branch: index }
      advance(index)
    }
    while (pending.size > 0) {
      const { index, next } = await Promise.race(pending.values())
      pending.delete(index)
      if (next.done) {
        choices[index] = next.value
        yield { type: "branch-ended", branch: index, reason: next.value.finishReason }
      } else {
        const event = next.value
        yield "branch" in event ? { ...event, branch: event.branch * n + index } : event
        advance(index)
      }
    }
  } finally {
    for (const step of pending.values()) step.catch(() => {}) // the first failure is the one that is told
    await Promise.allSettled(runs.map((run) => run.return(undefined as never))) // a caller that leaves early ends all
  }
  return { ...choices[0]!, choices }
}
