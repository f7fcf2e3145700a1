/** Early-exit methods run again over recorded exits: the same rounds, without a model. */
import type { Method } from "../../decoding/method.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { createSampler } from "../../decoding/sampler.ts"
import { validateSampling } from "../../decoding/sampling-options.ts"
import type { ModelConfig } from "../../models/config.ts"
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { createRandom } from "../../tensor/random.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { RecordedExits } from "./recorded-exits.ts"
import { createRecordedTarget, type ReplayedPass } from "./recorded-target.ts"

export interface ExitRound {
  /** Tokens committed. */
  readonly tokens: number
  readonly drafted: number
  /** The layer that drafts left after; undefined for a plain step. */
  readonly exit: number | undefined
  readonly passes: readonly ReplayedPass[]
}

export interface ExitReplaySettings {
  readonly config: ModelConfig
  readonly tokenizer: Tokenizer
  /** What the method is told that rows and the head cost. */
  readonly cost: RowCost
  readonly headCost?: number
  readonly options?: Readonly<Record<string, unknown>>
}

/**
 * Greedy rounds over a recorded answer. Exact where a draft's length does not hang on what follows its first wrong token:
 * no stop token comes there, and the exit is as sure as it would have been behind the right one.
 */
export async function replayExits(
  method: Method,
  recorded: RecordedExits,
  { config, tokenizer, cost, headCost, options }: ExitReplaySettings,
): Promise<ExitRound[]> {
  const target = createRecordedTarget(recorded, config)
  const { vocabulary, layers } = target.runner.config
  const run = method.run(
    { tokens: target.prompt },
    {
      models: { target: target.runner },
      options: resolveOptions(method, options),
      tokenizer,
      sampler: createSampler(validateSampling({ temperature: 0 }, vocabulary)),
      random: createRandom(1),
      limits: target,
      cost,
      ...(headCost === undefined ? {} : { headCost }),
      signal: new AbortController().signal,
    },
  )
  const rounds: ExitRound[] = []
  let drafted: number | undefined
  for await (const step of run) {
    if (step.type === "draft-proposed") drafted = step.tree.tokens.length
    if (step.type !== "tokens-committed") continue
    const passes = target.taken()
    // The first token comes out of the prompt's pass and is no round's.
    if (drafted === undefined) continue
    const lower = passes.find(({ from, to }) => from === 0 && to < layers)
    rounds.push({ tokens: step.tokens.length, drafted, exit: lower?.to, passes })
    drafted = undefined
  }
  return rounds
}
