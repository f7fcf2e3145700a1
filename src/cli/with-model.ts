/** The frame of every verb that runs a model: Ctrl-C, loading, and an orderly end. */
import type { Model } from "../generate/model.ts"
import type { EngineFlags } from "./flags.ts"
import { catchInterrupt } from "./interrupt.ts"
import { openModel } from "./open-model.ts"
import type { Output } from "./output.ts"

/** @returns the exit code: what `work` returns (0 for nothing), or 130 after Ctrl-C */
export async function withModel(
  flags: EngineFlags,
  output: Output,
  work: (model: Model, signal: AbortSignal) => Promise<number | undefined>,
): Promise<number> {
  const interrupt = catchInterrupt()
  try {
    const model = await openModel(flags, output, interrupt.signal)
    try {
      const code = (await work(model, interrupt.signal)) ?? 0
      return interrupt.signal.aborted ? 130 : code
    } finally {
      await model.dispose()
    }
  } finally {
    interrupt.release()
  }
}
