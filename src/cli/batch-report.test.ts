/** What a batch tells: the contract's object, a table for people, progress in tenths. */
import { describe, expect, test } from "vitest"
import type { JobCounts, PlanNumbers } from "../jobs/job-store.ts"
import { createBatchProgress } from "./batch-progress.ts"
import { batchReport, reportText } from "./batch-report.ts"

const plan: PlanNumbers = {
  ...{ unit: "token", groups: 3, sharing: 2, logicalTokens: 1000, physicalTokens: 400, multiLevelTokens: 350 },
}
const counts: JobCounts = {
  ...{ requests: 10, answered: 9, failed: 2, promptTokens: 1000, computedTokens: 450, completionTokens: 60 },
}

describe("report", () => {
  test("saved is what was not computed; speed is of this run alone", () => {
    expect(batchReport({ plan }, counts, { milliseconds: 2000, tokens: 30 })).toEqual({
      ...{ requests: 10, done: 7, failed: 2, promptTokens: 1000, prefillTokensComputed: 450, prefillTokensSaved: 550 },
      ...{ completionTokens: 60, tokensPerSecond: 15, seconds: 2, plan },
    })
  })

  test("for people: shares of what was read, planned and possible; nothing is divided by nothing", () => {
    const text = reportText(batchReport({ plan }, counts, { milliseconds: 2000, tokens: 30 }))
    expect(text).toMatch(/requests +10 +7 done, 2 failed/)
    expect(text).toMatch(/read +450 +55.0 % saved/)
    expect(text).toMatch(/planned +400 +60.0 % saved/)
    expect(text).toMatch(/at any depth +350 +65.0 % if/)
    expect(text).toMatch(/tokens generated +60 +15.0 tokens\/s, 2.0 s/)
    const empty = { requests: 1, answered: 1, failed: 1, promptTokens: 0, computedTokens: 0, completionTokens: 0 }
    const none = { ...plan, logicalTokens: 0, physicalTokens: 0, multiLevelTokens: 0 }
    expect(reportText(batchReport({ plan: none }, empty, { milliseconds: 0, tokens: 0 }))).not.toMatch(/NaN|Infinity/)
  })
})

test("progress elsewhere than on a terminal: one line for each tenth, however far it begins", () => {
  const lines: string[] = []
  const stream = { isTTY: false, write: (text: string) => lines.push(text) > 0 } as unknown as NodeJS.WriteStream
  const progress = createBatchProgress(stream)
  for (const answered of [5, 5, 9, 10, 19, 20, 40])
    progress.update({ requests: 40, answered, failed: answered > 30 ? 1 : 0 })
  progress.stop()
  expect(lines.map((line) => line.trimEnd())).toEqual([
    ...["5 of 40 requests", "9 of 40 requests", "19 of 40 requests", "20 of 40 requests"],
    "40 of 40 requests, 1 failed",
  ])
})
