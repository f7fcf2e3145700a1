/** What a job cost, for programs (the contract's object) and for people. */
import type { JobCounts, JobRecord, PlanNumbers } from "../jobs/job-store.ts"
import { rounded } from "./output.ts"
import { formatSeconds, table } from "./terminal.ts"

export interface Work {
  /** Of answering alone, in this process. */
  readonly milliseconds: number
  /** Tokens generated in that time. */
  readonly tokens: number
}

export interface BatchReport {
  readonly requests: number
  readonly done: number
  readonly failed: number
  readonly promptTokens: number
  readonly prefillTokensComputed: number
  readonly prefillTokensSaved: number
  readonly completionTokens: number
  readonly tokensPerSecond: number
  readonly seconds: number
  readonly plan: PlanNumbers
}

export function batchReport({ plan }: Pick<JobRecord, "plan">, counts: JobCounts, work: Work): BatchReport {
  const { requests, answered, failed, promptTokens, computedTokens, completionTokens } = counts
  return {
    requests,
    done: answered - failed,
    failed,
    promptTokens,
    prefillTokensComputed: computedTokens,
    prefillTokensSaved: promptTokens - computedTokens,
    completionTokens,
    tokensPerSecond: work.milliseconds > 0 ? rounded((work.tokens / work.milliseconds) * 1000) : 0,
    seconds: rounded(work.milliseconds / 1000),
    plan,
  }
}

export function reportText(report: BatchReport): string {
  const { requests, done, failed, promptTokens, prefillTokensComputed, plan, completionTokens } = report
  const share = (saved: number, of: number) => (of > 0 ? `${((100 * saved) / of).toFixed(1)} %` : "–")
  const rows = [
    ["requests", `${requests}`, failed > 0 ? `${done} done, ${failed} failed` : `${done} done`],
    ["groups", `${plan.groups}`, `${plan.sharing} with a shared prefix`],
    ["prompt tokens", `${promptTokens}`, ""],
    ["  read", `${prefillTokensComputed}`, `${share(promptTokens - prefillTokensComputed, promptTokens)} saved`],
    [
      "  planned",
      `${plan.physicalTokens}`,
      `${share(plan.logicalTokens - plan.physicalTokens, plan.logicalTokens)} saved`,
    ],
    [
      "  at any depth",
      `${plan.multiLevelTokens}`,
      `${share(plan.logicalTokens - plan.multiLevelTokens, plan.logicalTokens)} if prefixes shared prefixes too`,
    ],
    ["tokens generated", `${completionTokens}`, speed(report)],
  ]
  return table(["", "", ""], rows).split("\n").slice(1).join("\n")
}

const speed = ({ tokensPerSecond, seconds }: BatchReport): string =>
  tokensPerSecond > 0 ? `${tokensPerSecond.toFixed(1)} tokens/s, ${formatSeconds(seconds * 1000)}` : ""
