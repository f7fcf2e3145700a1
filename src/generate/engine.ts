/** One loaded model and everything that can be done with it. Lives in the worker thread; nothing here knows of threads. */
import { totalmem } from "node:os"
import { ForerunError } from "../base/errors.ts"
import type { Completion, Context, Prompt } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import { prefill } from "../decoding/prefill.ts"
import { readBehind } from "../decoding/read-behind.ts"
import { createSampler } from "../decoding/sampler.ts"
import { validateSampling } from "../decoding/sampling-options.ts"
import { createSpeculationTally } from "../decoding/speculation-report.ts"
import type { StreamEvent, TextAppended, Token } from "../decoding/step.ts"
import { createStopper } from "../decoding/stop.ts"
import { loadContinuation } from "../methods/index.ts"
import { blockSize } from "../models/builder.ts"
import type { ModelConfig } from "../models/config.ts"
import type { WeightFormat } from "../models/formats.ts"
import { cachedCostCurve, knownCostCurve } from "../runtime/cached-cost-curve.ts"
import { type CostCurve, isPlausible } from "../runtime/cost-curve.ts"
import { modelDevice, placementOf } from "../runtime/devices.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { LedgerTotals } from "../runtime/ledger.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { type Opened, PrefixTree } from "../runtime/prefix-tree.ts"
import { loadBackend } from "../runtime/session-node.ts"
import { createRandom, type Random } from "../tensor/random.ts"
import { createStreamDecoder } from "../text/stream-decoder.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import { Admission } from "./admission.ts"
import { checkNeeds } from "./check-needs.ts"
import { type Costs, costsOf } from "./costs.ts"
import { Grammars } from "./grammar/grammars.ts"
import { openDraft, openPart, type Part } from "./part.ts"
import { phasesOf, timelineOf } from "./phases.ts"
import { appendText } from "./pieces.ts"
import { encodePrediction } from "./prediction.ts"
import { encodePrompt } from "./prompt.ts"
import { sampleMany } from "./samples.ts"
import { scoreTokens } from "./score.ts"
import { reportToken } from "./token-report.ts"
import { type TrainedPart, TrainedParts } from "./trained-parts.ts"
import type {
  GenerateOptions,
  GenerateResult,
  LoadModelOptions,
  ModelInfo,
  PromptInput,
  Score,
  TokenReport,
} from "./types.ts"
import { describeVocabulary, type Vocabulary } from "./vocabulary.ts"

interface EngineSettings {
  readonly info: ModelInfo
  readonly options: LoadModelOptions
}

/** Of keys and values of one position, in all layers. */
const positionBytes = ({ layers, kvHeads, headSize }: ModelConfig): number => layers * kvHeads * headSize * 8

export class Engine {
  readonly info: ModelInfo
  readonly tokenizer: Tokenizer
  readonly runner: SessionRunner
  readonly #target: Part
  readonly #draft: Part | undefined
  readonly #grammars: Grammars
  /** What was measured before, if anything: an answer never waits for a measurement. */
  #knownCurve: Promise<CostCurve | undefined>
  /** The target's own checkpoint in other formats, for methods that draft with it. */
  readonly #ownDrafts = new Map<WeightFormat, Promise<Part>>()
  readonly parts: TrainedParts

  readonly #admission: Admission
  readonly #prefixes: PrefixTree | undefined

  private constructor(target: Part, draft: Part | undefined, { info, options }: EngineSettings) {
    this.#target = target
    this.#draft = draft
    this.tokenizer = target.tokenizer
    this.runner = target.runner
    this.info = info
    const { vocabulary, eosTokens } = info.config
    this.#grammars = new Grammars(this.tokenizer, {
      size: vocabulary,
      ending: new Set([...this.tokenizer.eosTokens, ...eosTokens]),
    })
    this.parts = new TrainedParts({
      checkpoint: target.checkpoint,
      threads: target.threads,
      device: info.draftDevice,
      folder: options.part,
      adapter: options.adapter,
    })
    this.#knownCurve = knownCostCurve(target.checkpoint, info).catch(() => undefined)
    const { cacheBytes = totalmem() / 4, prefixBytes = 0 } = options
    this.#admission = new Admission(cacheBytes)
    const blocks = Math.floor(prefixBytes / (blockSize * positionBytes(info.config)))
    this.#prefixes = blocks > 0 ? new PrefixTree(this.runner, blocks) : undefined
  }

  /** @param options `draft` and `part` are paths here */
  static async load(path: string, options: LoadModelOptions = {}): Promise<Engine> {
    const begin = performance.now()
    const backend = loadBackend() // starts while the file's header is read
    backend.catch(() => {}) // reported where it is awaited
    const { device: given, ...rest } = options
    const placement = placementOf(given)
    const target = await openPart(path, { ...rest, device: placement.target })
    let draft: Part | undefined
    try {
      if (options.draft !== undefined) draft = await openDraft(target, options.draft, { ...rest, placement })
    } catch (thrown) {
      await target.dispose()
      throw thrown
    }
    const { kind, chatTemplate, license } = target.checkpoint
    const info: ModelInfo = {
      ...target.info,
      kind,
      threads: target.threads,
      device: target.device,
      draftDevice: placement.draft,
      chatTemplate: chatTemplate !== undefined,
      ...(license === undefined ? {} : { license }),
      loadMs: performance.now() - begin,
      ...(draft ? { draft: draft.info } : {}),
    }
    return new Engine(target, draft, { info, options })
  }

  /** The model that drafts, where one was loaded. */
  get draft(): SessionRunner | undefined {
    return this.#draft?.runner
  }

  encode(input: PromptInput, options: Pick<GenerateOptions, "raw" | "system" | "tools"> = {}): Promise<Int32Array> {
    return encodePrompt(input, this.tokenizer, this.#target.checkpoint.chatTemplate, options)
  }

  /** @param past holds the first tokens of the prompt already; it is forked, not written */
  async *stream(
    input: PromptInput,
    given: GenerateOptions = {},
    signal = neverAborted,
    past?: KvCache,
  ): AsyncGenerator<StreamEvent, GenerateResult> {
    const n = integer("n", given.n ?? 1, 1, 128)
    const { seed = Math.floor(Math.random() * 2 ** 32) } = given
    let begun: Opened | undefined = past && { cache: past, found: past.length }
    const sample = (index: number) => {
      const random = createRandom(seed).fork("sample")
      // The first of several is the answer that is alone without the others.
      const own = index === 0 ? random : random.fork(index)
      return this.#answer(input, { ...given, seed }, { signal, past: begun, random: own })
    }
    if (n === 1) return yield* sample(0)
    // They share all of the prompt but its last token.
    const prompt = await this.#encodePrompt(input, given)
    const known = past ? { cache: past.fork(), found: past.length } : await this.#known(prompt, given, signal)
    const shared = known?.cache ?? this.runner.openCache()
    begun = { cache: shared, found: known?.found ?? 0 }
    try {
      yield* prefill(this.runner, shared, prompt.subarray(shared.length, -1), { signal })
      return yield* sampleMany(n, sample)
    } finally {
      shared.dispose()
    }
  }

  async #encodePrompt(input: PromptInput, given: GenerateOptions): Promise<Int32Array> {
    const { context } = this.info.config
    const prompt = await this.encode(input, given)
    if (prompt.length === 0) throw new ForerunError("E_INPUT", "the prompt is empty: at least one token is needed")
    if (prompt.length < context) return prompt
    throw new ForerunError("E_CONTEXT_LENGTH", `the prompt has ${prompt.length} tokens, the context holds ${context}`, {
      hint: "shorten the prompt, or leave room for at least one token",
    })
  }

  async *#answer(
    input: PromptInput,
    given: GenerateOptions & { readonly seed: number },
    {
      signal,
      past,
      random,
    }: {
      readonly signal: AbortSignal
      readonly past: Opened | undefined
      readonly random: Random
    },
  ): AsyncGenerator<StreamEvent, GenerateResult> {
    const { config } = this.info
    const method = await loadContinuation(given.method ?? "autoregressive")
    const options = resolveOptions(method, given.options)
    const draft = await this.#draftFor(method.ownDraft?.(options))
    const target = this.runner.forRun()
    const models = { target, ...(draft ? { draft: draft.runner } : {}) }
    checkNeeds(method, models)
    const trained = await this.parts.of(method, options)
    const sampling = validateSampling(given, config.vocabulary)
    const wanted = integer("maxTokens", given.maxTokens ?? 256, 1, 2 ** 31)
    const logprobs = given.logprobs === undefined ? undefined : integer("logprobs", given.logprobs, 0, 20)
    const stopIds = new Set([...this.tokenizer.eosTokens, ...config.eosTokens])
    const stopper = createStopper({
      stopIds,
      stopStrings: given.stop ?? [],
      decode: createStreamDecoder(this.tokenizer, { skipSpecial: true }),
    })
    const expected = encodePrediction(method, given.prediction, this.tokenizer)
    const prompt = await this.#encodePrompt(input, given)
    const maxTokens = Math.min(wanted, config.context - prompt.length)
    const drafting = [draft?.runner.ledger, trained?.ledger].filter((ledger) => ledger !== undefined)
    const draftBefore = drafting.map((ledger) => ledger.totals())
    const tally = createSpeculationTally()
    const begin = performance.now()
    let firstToken: number | undefined
    let read: LedgerTotals | undefined
    const tokens: Token[] = []
    let text = ""
    let stopString: string | undefined
    const accepted = new Map<number, number>()
    const costs = await this.costs(draft, trained) // before the cache is forked: nothing is left behind if it fails
    const constraint = await this.#grammars.openIfGiven(given.grammar)
    const context: Context = {
      models,
      options,
      tokenizer: this.tokenizer,
      sampler: createSampler(sampling, constraint ? [constraint.process] : []),
      random,
      limits: { maxTokens, stopIds },
      ...costs,
      ...(trained ? { part: trained.part } : {}),
      ...(logprobs === undefined ? {} : { logprobs }),
      ...expected,
      signal,
    }
    const leave = await this.#admission.enter((prompt.length + maxTokens) * positionBytes(config), signal)
    let begun: Required<Prompt> | undefined
    let cachedTokens = 0
    let run: ReturnType<typeof method.run> | undefined
    let outcome: Completion | undefined
    try {
      const opened = past ?? (await this.#known(prompt, given, signal))
      cachedTokens = opened?.found ?? 0
      try {
        if (opened && opened.cache.length > 0) begun = yield* readBehind(target, opened.cache, prompt, signal)
      } finally {
        if (opened !== past) opened?.cache.dispose()
      }
      run = method.run(begun ?? { tokens: prompt }, context)
      for (;;) {
        const next = await run.next()
        if (next.done) {
          outcome = next.value
          break
        }
        const step = next.value
        tally.add(step)
        if (step.type === "draft-verified") accepted.set(step.branch, step.accepted)
        if (step.type !== "tokens-committed") {
          yield step
          continue
        }
        firstToken ??= performance.now()
        read ??= target.ledger.totals()
        // A stop string may end inside a run of tokens that was committed at once: what follows it is not the answer.
        const appended: TextAppended[] = []
        const drafted = accepted.get(step.branch) ?? 0 // accepted draft tokens are committed first
        accepted.delete(step.branch)
        let count = 0
        for (const token of step.tokens) {
          tokens.push(token)
          const result = stopper.push(token.id)
          appendText(appended, { branch: step.branch, text: result.text, isDrafted: count++ < drafted })
          if (result.stopped === "string") stopString = result.stopString
          if (result.stopped) break
        }
        yield { ...step, positions: step.positions.slice(0, count), tokens: step.tokens.slice(0, count) }
        for (const piece of appended) {
          text += piece.text
          yield piece
        }
        if (stopString !== undefined) break
      }
    } finally {
      await run?.return({ tokens, reason: "abort" }) // runs the method's finally: its caches go
      begun?.read.cache.dispose()
      constraint?.close()
      leave()
    }
    const rest = stopper.flush()
    if (rest.stopped === "string") stopString = rest.stopString
    if (rest.text !== "") {
      text += rest.text
      yield { type: "text-appended", branch: 0, text: rest.text }
    }
    const end = performance.now()
    const spent = target.ledger.totals()
    const drafted = drafting.map((ledger, i) => ledger.since(draftBefore[i]!))
    const draftPasses = drafted.reduce((sum, { passes }) => sum + passes, 0)
    const speculation = tally.report()
    const decodeMs = firstToken === undefined ? 0 : end - firstToken
    return {
      text,
      tokens: tokens.map(({ id }) => id),
      promptTokens: prompt.length,
      cachedTokens,
      finishReason: stopString === undefined ? outcome!.reason : "stop",
      ...(stopString === undefined ? {} : { stopString }),
      method: method.name,
      lossless: method.promise(options) === "lossless",
      seed: given.seed,
      ...(speculation ? { speculation } : {}),
      passes: { target: spent.passes, draft: draftPasses },
      timings: {
        loadMs: this.info.loadMs,
        prefillMs: (firstToken ?? end) - begin,
        decodeMs,
        firstTokenMs: (firstToken ?? end) - begin,
        // The first token comes out of the prompt's pass, so it is not counted among the decoded ones.
        tokensPerSecond: tokens.length > 1 && decodeMs > 0 ? ((tokens.length - 1) / decodeMs) * 1000 : 0,
        ...(speculation && read ? phasesOf(drafted, target.ledger.since(read)) : {}),
      },
      ...(logprobs === undefined ? {} : { logprobs: tokens.map((token) => this.#report(token)) }),
      ...(given.timeline ? { timeline: timelineOf(begin, target.ledger, drafting) } : {}),
    }
  }

  /** What is kept of the prompt's beginning, and read by now; undefined when nothing is kept at all. */
  async #known(prompt: Int32Array, { prefixSalt }: GenerateOptions, signal: AbortSignal): Promise<Opened | undefined> {
    return this.#prefixes?.open(prompt, signal, prefixSalt)
  }

  score(tokens: Int32Array, options: { readonly signal?: AbortSignal; readonly top?: number } = {}): Promise<Score> {
    const top = options.top === undefined ? {} : { top: integer("top", options.top, 0, 20) }
    return scoreTokens(this.runner, tokens, { signal: neverAborted, ...options, ...top })
  }

  vocabulary(): Vocabulary {
    return describeVocabulary(this.tokenizer, this.#target.checkpoint.chatTemplate)
  }

  async costs(draft = this.#draft, trained?: TrainedPart): Promise<Costs> {
    return costsOf(this.runner, await this.#knownCurve, { model: draft?.runner, part: trained?.ledger })
  }

  async costCurve(options: { readonly fresh?: boolean; readonly signal?: AbortSignal } = {}): Promise<CostCurve> {
    const curve = await cachedCostCurve(this.runner, this.#target.checkpoint, this.info, options)
    if (isPlausible(curve)) this.#knownCurve = Promise.resolve(curve)
    return curve
  }

  async dispose(): Promise<void> {
    this.#grammars.dispose()
    this.#prefixes?.dispose()
    await this.parts.dispose()
    await this.#target.dispose()
    await this.#draft?.dispose()
    for (const part of this.#ownDrafts.values()) await (await part.catch(() => undefined))?.dispose()
  }

  /** The draft model that was loaded, or the target's own checkpoint in another format, opened when first asked for. */
  async #draftFor(weights: WeightFormat | undefined): Promise<Part | undefined> {
    if (weights === undefined) return this.#draft
    const { path, threads, draftDevice } = this.info
    const device = modelDevice("device of a draft model", draftDevice)
    if (weights === this.info.weights)
      throw new ForerunError(
        "E_OPTION",
        `the target holds its weights in ${weights}: a draft in the same gains nothing`,
      )
    const part = this.#ownDrafts.get(weights) ?? openPart(path, { weights, threads, device })
    this.#ownDrafts.set(weights, part)
    part.catch(() => this.#ownDrafts.delete(weights))
    return part
  }

  #report(token: Token): TokenReport {
    return reportToken(token, (id) => this.tokenizer.bytes(id))
  }
}

const neverAborted = new AbortController().signal

function integer(name: string, value: unknown, low: number, high: number): number {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number
  throw new ForerunError("E_OPTION", `${name} must be an integer from ${low} to ${high}; found ${String(value)}`)
}
