/** forerun batch --dry-run: what the plan would save, and what each of its ideas is worth on this job. */
import { asForerunError, ForerunError } from "../base/errors.ts"
import type { Executor } from "../jobs/executor.ts"
import type { JobSettings } from "../jobs/prepare-job.ts"
import { isBadLine, readRequests } from "../jobs/request.ts"
import { type Preview, previewPlan } from "../methods/batch-llm/preview.ts"
import { type Output, rounded } from "./output.ts"
import { table } from "./terminal.ts"

/** The simulated runtime: tokens a pass, and sequences at a time where memory does not decide. */
const [chunk, cap] = [512, 16]

export interface PreviewInput {
  readonly text: string
  readonly settings: JobSettings
  readonly kvBudget: number
  readonly signal: AbortSignal
}

/** @returns the exit code: 1 when a request would be refused */
export async function previewJob(executor: Executor, input: PreviewInput, output: Output): Promise<number> {
  const { text, settings, kvBudget, signal } = input
  const prompts: Int32Array[] = []
  const predictedDecode: number[] = []
  let refused = 0
  for (const line of readRequests(text)) {
    if (signal.aborted) throw new ForerunError("E_ABORTED", "aborted while the requests were being read")
    try {
      if (isBadLine(line)) throw line.error
      prompts.push(await executor.encode(line, settings.defaults))
      predictedDecode.push(executor.predictedTokens(line, settings.defaults))
    } catch (thrown) {
      refused++
      output.note(asForerunError(thrown).message)
    }
  }
  const { blockSize } = settings
  const preview = previewPlan(prompts, { blockSize, kvBudget, chunk, cap, predictedDecode })
  if (output.json)
    output.object({ requests: prompts.length + refused, refused, unit: executor.unit, kvBudget, ...preview })
  else output.text(`${previewText(preview, executor.unit)}\n`)
  return refused > 0 ? 1 : 0
}

const sharing = {
  none: "nothing shared",
  lru: "a cache of what was used last",
  firstLevel: "first level of the tree",
  paper: "the paper's grouping",
  exact: "the best grouping",
  anyDepth: "prefixes of prefixes, the bound",
} as const

const missing = {
  nothing: "all three",
  sharing: "without sharing",
  order: "in order of arrival",
  memory: `${cap} sequences at a time`,
} as const

function previewText({ logicalTokens, prefill, passes }: Preview, unit: string): string {
  const saved = (tokens: number) => `${(100 * (1 - tokens / Math.max(1, logicalTokens))).toFixed(1)} %`
  const read = Object.entries(sharing).map(([name, words]) => {
    const tokens = prefill[name as keyof typeof sharing]
    return [words, `${tokens}`, saved(tokens)]
  })
  const simulated = passes.map((one) => [
    missing[one.without],
    `${one.passes}`,
    `${rounded(one.tokensPerPass)}`,
    `${one.peakKv}`,
  ])
  return [
    table([`${unit}s read`, "", "saved"], read),
    "",
    table(["simulated", "passes", `${unit}s a pass`, "peak cache"], simulated),
  ].join("\n")
}
