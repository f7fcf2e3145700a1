/** forerun verify: the lossless certificate of a method, against plain decoding on the same prompts. */
import { broken, type Certificate, verify as certify } from "../../bench/verify.ts"
import { createReporter } from "../bench-progress.ts"
import type { GenerateFlags } from "../flags.ts"
import { generateOptions } from "../generate-options.ts"
import { type Output, usageError } from "../output.ts"
import { readTaskFiles } from "../read-text.ts"
import { type VerifyMethodsFlags, verifyMany } from "../verify-methods.ts"
import { withModel } from "../with-model.ts"

interface Flags extends GenerateFlags, VerifyMethodsFlags {
  readonly prompts?: readonly string[]
  readonly limit?: number
  readonly lawSamples?: number
}

export async function verify(_: readonly unknown[], flags: Flags, output: Output) {
  const { prompts: files, method, methods } = flags
  if (methods !== undefined && files !== undefined) {
    for (const name of ["method", "option", "temperature", "raw", "system", "predictionFile"] as const)
      if (flags[name] !== undefined) throw usageError("with --methods all is greedy and as it is by default")
    return verifyMany(await readTaskFiles(files, flags.limit), flags, output)
  }
  if (method === undefined) throw usageError("give the method to verify: --method <name>")
  if (files === undefined) throw usageError("give prompts: --prompts <file>")
  for (const name of ["out", "shard", "concurrency", "save"] as const)
    if (flags[name] !== undefined) throw usageError(`--${name} goes with --methods`)
  for (const name of ["samples", "logprobs", "stop"] as const)
    if (flags[name] !== undefined) throw usageError(`--${name} makes no sense here`)
  const { options, maxTokens, raw, system, method: _method, prediction, ...sampling } = await generateOptions(flags)
  const expected = prediction === undefined ? {} : { prediction } // for prompts that bring none
  const prompts = (await readTaskFiles(files, flags.limit)).map((prompt) => ({ ...expected, ...prompt }))
  if (prompts.length === 0) throw usageError("the files hold no prompts")
  return withModel(flags, output, async (model, signal) => {
    const certificate = await certify(model, {
      method,
      prompts,
      sampling,
      signal,
      onProgress: createReporter(output),
      ...(options ? { methodOptions: options } : {}),
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(raw === undefined ? {} : { raw }),
      ...(system === undefined ? {} : { system }),
      ...(flags.lawSamples === undefined ? {} : { samples: flags.lawSamples }),
    })
    if (output.json) output.object(certificate)
    else output.text(describe(certificate))
    const reasons = broken(certificate)
    for (const reason of reasons) output.note(`not lossless: ${reason}`, "red")
    return reasons.length > 0 ? 1 : 0
  })
}

function describe(certificate: Certificate): string {
  const { method, promise, prompts, tokens, differences, maxLogitDifference, seeds, law, speedup } = certificate
  const share = `${prompts - differences.length} of ${prompts} answers`
  const lines = [
    `${method} promises ${promise}; against plain decoding:`,
    `tokens   ${share} identical, ${tokens} tokens`,
    `logits   ${maxLogitDifference === 0 ? "the same bits" : `differ by up to ${maxLogitDifference.toExponential(2)}`}`,
    ...(seeds ? [`seeds    ${seeds.identical} of ${seeds.compared} sampled answers identical`] : []),
    ...(law ? [`law      p = ${law.pValue.toFixed(4)} over ${law.tokens} tokens of ${law.samples} samples`] : []),
    `length   ${certificate.meanAcceptedLength.toFixed(2)} tokens a verification`,
    ...(speedup
      ? [`speedup  ${speedup.median.toFixed(2)} (${speedup.low.toFixed(2)} to ${speedup.high.toFixed(2)})`]
      : []),
    ...differences
      .slice(0, 10)
      .map(({ id, position, margin }) => `  ${id} differs at token ${position}, margin ${margin.toPrecision(3)}`),
  ]
  return `${lines.join("\n")}\n`
}
