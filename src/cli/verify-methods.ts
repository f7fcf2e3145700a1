/** Several methods verified at once: plain answers are computed once for all, and an interrupted run is gone on with. */
import { resultsFolder, saveRecord } from "../bench/record.ts"
import { certificateTable } from "../bench/tables.ts"
import type { BenchPrompt } from "../bench/types.ts"
import { broken } from "../bench/verify.ts"
import { type VerifiedAnswer, verifyMethods } from "../bench/verify-methods.ts"
import { createReporter } from "./bench-progress.ts"
import type { EngineFlags } from "./flags.ts"
import { type Output, usageError } from "./output.ts"
import { openResumed, withFields } from "./resumed-file.ts"
import { shardOf } from "./shard.ts"
import { table } from "./terminal.ts"
import { withModel } from "./with-model.ts"

export interface VerifyMethodsFlags extends EngineFlags {
  readonly methods?: readonly string[]
  readonly maxTokens?: number
  readonly out?: string
  readonly shard?: string
  readonly concurrency?: number
  readonly save?: boolean
}

const isAnswer = withFields<VerifiedAnswer>({ method: "text", id: "id", tokens: "number", passes: "record" })

export function verifyMany(all: readonly BenchPrompt[], flags: VerifyMethodsFlags, output: Output): Promise<number> {
  const { methods = [], maxTokens = 128, out } = flags
  const { index, of } = shardOf(flags.shard)
  if (of > 1 && (out === undefined || flags.save))
    throw usageError("a shard's answers go into a file: --out <file>; join the files, then --save without --shard")
  const prompts = all.filter((_, i) => i % of === index)
  return withModel(flags, output, async (model, signal) => {
    const { weights, path } = model.info
    const file = out === undefined ? undefined : openResumed(out, { model: path, weights, maxTokens })
    try {
      const record = await verifyMethods(model, {
        methods,
        prompts,
        maxTokens,
        ...(flags.concurrency === undefined ? {} : { concurrency: flags.concurrency }),
        known: (key) => file?.read(key, isAnswer),
        onAnswer: (key, answer) => file?.append(key, answer),
        signal,
        onProgress: createReporter(output),
      })
      if (flags.save) output.note(`saved ${await saveRecord(record, { folder: resultsFolder })}`)
      const { head, rows } = certificateTable([record])
      if (output.json) output.object(record)
      else output.text(`${table(head, rows)}\n`)
      const reasons = record.certificates.flatMap((one) => broken(one).map((reason) => `${one.method}: ${reason}`))
      for (const reason of reasons) output.note(`not lossless: ${reason}`, "red")
      return reasons.length > 0 ? 1 : 0
    } finally {
      file?.close()
    }
  })
}
