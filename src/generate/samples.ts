/** Several answers to one prompt, one after the other. */
import type { StreamEvent } from "../decoding/step.ts"
import type { GenerateResult } from "./types.ts"

type Run = AsyncGenerator<StreamEvent, GenerateResult>

/**
 * The first answer's result lies at the top, all of them under `choices`. Branch b of answer i is branch b·n + i of the
 * stream, so an answer of one branch keeps its own number; each is framed by branch-started and branch-ended.
 */
export async function* sampleMany(n: number, answer: (index: number) => Run): Run {
  const choices: GenerateResult[] = []
  for (let index = 0; index < n; index++) {
    yield { type: "branch-started", branch: index }
    const run = answer(index)
    try {
      for (;;) {
        const next = await run.next()
        if (next.done) {
          choices.push(next.value)
          break
        }
        const event = next.value
        yield "branch" in event ? { ...event, branch: event.branch * n + index } : event
      }
    } finally {
      await run.return(undefined as never) // a caller that leaves early ends the method too
    }
    yield { type: "branch-ended", branch: index, reason: choices.at(-1)!.finishReason }
  }
  return { ...choices[0]!, choices }
}
