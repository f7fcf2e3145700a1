/** The frame of a batch that a server elsewhere answers: no model is loaded, at most its tokenizer. */

import { encodePrompt } from "../generate/prompt.ts"
import type { Executor } from "../jobs/executor.ts"
import { requestPrompt } from "../jobs/request-options.ts"
import { createServerExecutor, type ServerExecutorOptions } from "../jobs/server-executor.ts"
import { createTokenizer } from "../text/tokenizer.ts"
import type { ModelFlags } from "./flags.ts"
import { catchInterrupt } from "./interrupt.ts"
import { useCheckpoint } from "./open-tokenizer.ts"
import { usageError } from "./output.ts"

interface ServerFlags extends ModelFlags {
  readonly serverModel?: string
  readonly concurrency?: number
}

/** @returns the exit code, 130 after Ctrl-C */
export async function withServer(
  url: string,
  flags: ServerFlags,
  use: (executor: Executor, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw usageError(`--server needs an http address, found ${url}`)
  const { serverModel: model, concurrency } = flags
  const apiKey = process.env.OPENAI_API_KEY
  const executor = createServerExecutor({
    url,
    ...(apiKey ? { apiKey } : {}),
    ...(model === undefined ? {} : { model }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(await tokensOf(flags)),
  })
  const interrupt = catchInterrupt()
  try {
    const code = await use(executor, interrupt.signal)
    return interrupt.signal.aborted ? 130 : code
  } finally {
    interrupt.release()
  }
}

/** With a model's files at hand the plan counts tokens. */
async function tokensOf(flags: ModelFlags): Promise<Pick<ServerExecutorOptions, "encode">> {
  if (flags.model === undefined) return {}
  return useCheckpoint(flags, ({ tokenizer: source, chatTemplate }) => {
    if (!source) return {}
    const tokenizer = createTokenizer(source)
    return {
      encode: (request) => encodePrompt(requestPrompt(request), tokenizer, chatTemplate, { raw: true }),
    }
  })
}
