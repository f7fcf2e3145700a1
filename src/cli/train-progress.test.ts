/** What a run of training tells while it goes. */
import { expect, test } from "vitest"
import { createTrainDisplay, describeProgress } from "./train-progress.ts"

const progress = { step: 10, steps: 400, loss: 2.34567, tokensPerSecond: 1234.4, secondsLeft: 42 }

test("loss, metric, speed and time left in words", () => {
  expect(describeProgress(progress)).toBe("loss 2.346 · 1234 tokens/s · 42.0 s left")
  expect(describeProgress({ ...progress, metric: 0.5, secondsLeft: 7500 })).toBe(
    "loss 2.346 · validation 0.500 · 1234 tokens/s · 2 h 5 min left",
  )
  expect(describeProgress({ ...progress, secondsLeft: 600 })).toContain("10 min left")
})

test("in a file, a line for each twentieth", () => {
  const lines: string[] = []
  const display = createTrainDisplay({ isTTY: false, write: (text: string) => lines.push(text) } as never)
  for (let step = 1; step <= 400; step++) display.update({ ...progress, step })
  display.stop()
  expect(lines).toHaveLength(21)
  expect(lines.slice(0, 2).map((line) => line.split(" · ")[0])).toEqual(["step 1/400", "step 20/400"])
})
