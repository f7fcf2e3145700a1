/** From the lines of an input to a job: what is refused is answered at once, the rest is planned. */
import { createHash } from "node:crypto"
import { asForerunError, ForerunError } from "../base/errors.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { type PlanMode, type PlanOrder, planBatch } from "../methods/batch-llm/plan.ts"
import type { Executor } from "./executor.ts"
import type { NewJob, StoredAnswer } from "./job-store.ts"
import { isBadLine, type JobLine, type JobRequest } from "./request.ts"
import { type Answer, badLineResult, refused, resultLine } from "./result.ts"

export interface JobSettings {
  readonly plan: PlanMode
  readonly order: PlanOrder
  readonly blockSize: number
  /** Generation defaults. */
  readonly defaults: GenerateOptions
}

/** The same requests for the same model with the same settings are the same job. */
export function jobId(text: string, identity: string, settings: JobSettings): string {
  return createHash("sha256")
    .update(JSON.stringify([identity, settings]))
    .update(text)
    .digest("hex")
}

/** @throws ForerunError E_ABORTED; what a request is refused for becomes its answer */
export async function prepareJob(
  { id, lines, settings }: { id: string; lines: readonly JobLine[]; settings: JobSettings },
  executor: Executor,
  signal: AbortSignal,
): Promise<NewJob> {
  const answers: StoredAnswer[] = []
  const requests: JobRequest[] = []
  const prompts: Int32Array[] = []
  for (const line of lines) {
    if (signal.aborted) throw new ForerunError("E_ABORTED", "aborted while the requests were being read")
    if (isBadLine(line)) answers.push({ ...nothing, position: line.position, line: badLineResult(id, line) })
    else
      try {
        prompts.push(await executor.encode(line, settings.defaults))
        requests.push(line)
      } catch (thrown) {
        answers.push(storedAnswer(id, line, refused(asForerunError(thrown))))
      }
  }
  const { plan: mode, order, blockSize, defaults } = settings
  const predictedDecode = requests.map((request) => executor.predictedTokens(request, defaults))
  const plan = planBatch(prompts, { mode, order, blockSize, predictedDecode })
  const { groups, logicalTokens, physicalTokens, multiLevelTokens } = plan
  return {
    id,
    identity: executor.identity,
    defaults,
    plan: {
      unit: executor.unit,
      groups: groups.length,
      sharing: groups.filter(({ prefix }) => prefix.length > 0).length,
      logicalTokens,
      physicalTokens,
      multiLevelTokens,
    },
    lines,
    groups: groups.map(({ prefix, members }) => ({
      prefixLength: prefix.length,
      requests: members.map((member) => requests[member.id]!),
    })),
    answers,
  }
}

const nothing = { failed: true, promptTokens: 0, computedTokens: 0, completionTokens: 0 }

export function storedAnswer(job: string, request: JobRequest, answer: Answer): StoredAnswer {
  const { statusCode, promptTokens, computedTokens, completionTokens } = answer
  return {
    position: request.position,
    failed: statusCode !== 200,
    promptTokens,
    computedTokens,
    completionTokens,
    line: resultLine(job, request, answer),
  }
}
