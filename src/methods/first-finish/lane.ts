/** A lane that runs a method in this engine, on its own stream of random numbers. */
import type { Completion, Context, Method, Prompt } from "../../decoding/method.ts"
import type { Step } from "../../decoding/step.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { createStreamDecoder } from "../../text/stream-decoder.ts"
import type { Lane, LaneNews } from "./race.ts"

export interface MethodLane extends Lane {
  readonly tokens: readonly number[]
  readonly text: string
  /** Rows read before its first token: what it cost to get to the end of the prompt. */
  readonly prefillTokens: number
  /** Runs on to the end of the sequence, after a finish that was none: the end of thinking. */
  complete(): AsyncGenerator<Step, void>
}

export interface LaneRules {
  /** Text whose appearance is the finish; absent: the end of the sequence. */
  readonly finishText?: string
  /** Whether a text that ended by itself counts as finished. */
  readonly accepts: (text: string) => boolean
}

/** Lane 0 draws what a plain run with the same seed draws; the others have streams of their own. */
export function createLane(branch: number, prompt: Prompt, context: Context, rules: LaneRules): MethodLane {
  const { method, options } = context.inner!
  const abort = new AbortController()
  const counted = countRows(context.models.target)
  const run = method.run(prompt, {
    ...context,
    models: { ...context.models, target: counted.runner },
    options,
    random: branch === 0 ? context.random : context.random.fork(`lane ${branch}`),
    signal: AbortSignal.any([context.signal, abort.signal]),
  })
  return new RunningLane({ branch, run, context, rules, rows: counted.rows, abort })
}

interface LaneParts {
  readonly branch: number
  readonly run: ReturnType<Method["run"]>
  readonly context: Context
  readonly rules: LaneRules
  readonly rows: () => number
  readonly abort: AbortController
}

class RunningLane implements MethodLane {
  readonly tokens: number[] = []
  text = ""
  prefillTokens = 0
  readonly #parts: LaneParts
  readonly #decoder: ReturnType<typeof createStreamDecoder>
  #completion: Completion["reason"] | undefined

  constructor(parts: LaneParts) {
    this.#parts = parts
    this.#decoder = createStreamDecoder(parts.context.tokenizer, { skipSpecial: true })
  }

  get length(): number {
    return this.tokens.length
  }

  async advance(): Promise<LaneNews> {
    const { finishText, accepts } = this.#parts.rules
    const from = Math.max(0, this.text.length - (finishText?.length ?? 0))
    const steps = await this.#step()
    if (finishText !== undefined && this.text.includes(finishText, from)) return { steps, ended: "finished" }
    if (this.#completion === undefined) return { steps }
    const finished = this.#completion === "stop" && finishText === undefined && accepts(this.text)
    return { steps, ended: finished ? "finished" : "unfinished" }
  }

  async *complete(): AsyncGenerator<Step, void> {
    while (this.#completion === undefined) yield* await this.#step()
  }

  async cancel(): Promise<void> {
    this.#parts.abort.abort()
    await this.#parts.run.return({ tokens: [], reason: "abort" }) // waits for the pass under way, frees its cache
  }

  /** Up to the next tokens; the run's own end is foreseen, so that no pass is spent on hearing of it. */
  async #step(): Promise<Step[]> {
    const { branch, run, context, rows } = this.#parts
    const steps: Step[] = []
    for (;;) {
      const next = await run.next()
      if (next.done) {
        this.#completion = next.value.reason
        this.text += this.#decoder.flush()
        return steps
      }
      if (next.value.type !== "tokens-committed") {
        if ("branch" in next.value) steps.push({ ...next.value, branch })
        continue
      }
      if (this.tokens.length === 0) this.prefillTokens = rows()
      for (const { id } of next.value.tokens) {
        this.tokens.push(id)
        this.text += this.#decoder.push(id)
      }
      steps.push({ ...next.value, branch })
      const { stopIds, maxTokens } = context.limits
      if (stopIds.has(this.tokens.at(-1)!)) this.#completion = "stop"
      else if (this.tokens.length >= maxTokens) this.#completion = "length"
      if (this.#completion) this.text += this.#decoder.flush()
      return steps
    }
  }
}

/** The same runner, counting the rows it is asked for here. */
function countRows(runner: ModelRunner): { runner: ModelRunner; rows: () => number } {
  let rows = 0
  const { config, abilities, ledger } = runner
  const counting: ModelRunner = {
    config,
    abilities,
    ledger,
    openCache: () => runner.openCache(),
    forward(pass) {
      const { input } = pass
      const values = "tokens" in input ? undefined : "embeddings" in input ? input.embeddings : input.hidden
      rows += "tokens" in input ? input.tokens.length : values!.length / config.hidden
      return runner.forward(pass)
    },
  }
  return { runner: counting, rows: () => rows }
}
