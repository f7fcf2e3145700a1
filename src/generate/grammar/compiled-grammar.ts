/** A grammar in a thread of its own: what goes wrong in it, or never ends, ends with it and harms no other request. */
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import { ForerunError } from "../../base/errors.ts"
import type { ScoreProcessor } from "../../decoding/processors.ts"
import type { Grammar } from "./grammar.ts"
import { replies, workerSource } from "./worker-source.ts"

export interface GrammarVocabulary {
  /** Each token's bytes in GPT-2's alphabet; empty for those that no grammar may use. [vocabulary] */
  readonly spellings: readonly string[]
  /** Tokens that end an answer. */
  readonly ending: readonly number[]
}

/** One answer's way through a grammar. */
export interface GrammarMatcher {
  /** Bans the tokens that may not come next. Follows the history wherever it goes, drafts and their end included. */
  readonly process: ScoreProcessor
  close(): void
}

const compileMs = 10_000
const stepMs = 5_000

export class CompiledGrammar {
  readonly #worker: Worker
  readonly #control: Int32Array
  readonly #mask: Int32Array
  #nextMatcher = 1
  #failed: ForerunError | undefined

  private constructor(worker: Worker, control: Int32Array, mask: Int32Array) {
    this.#worker = worker
    this.#control = control
    this.#mask = mask
    worker.on("error", () => this.#fail("its thread failed"))
  }

  /** @throws ForerunError E_GRAMMAR with the compiler's own words */
  static async compile(grammar: Grammar, { spellings, ending }: GrammarVocabulary): Promise<CompiledGrammar> {
    const library = createRequire(import.meta.url).resolve("@mlc-ai/web-xgrammar")
    const control = new Int32Array(new SharedArrayBuffer(8))
    const mask = new Int32Array(new SharedArrayBuffer(4 * Math.ceil(spellings.length / 32)))
    const workerData = { library, vocabulary: spellings, ending, grammar, control, mask }
    const resourceLimits = { maxOldGenerationSizeMb: 512 }
    const worker = new Worker(workerSource, { eval: true, workerData, resourceLimits, execArgv: [], env: {} })
    try {
      await ready(worker)
    } catch (thrown) {
      void worker.terminate()
      throw thrown
    }
    worker.unref()
    return new CompiledGrammar(worker, control, mask)
  }

  open(): GrammarMatcher {
    const matcher = this.#nextMatcher++
    const followed: number[] = [] // tokens that the thread's matcher has taken
    return {
      process: (scores, { output }) => {
        let keep = 0
        while (keep < followed.length && followed[keep] === output[keep]) keep++
        const tokens = output.slice(keep)
        const isMasked = this.#step({ matcher, keep, tokens })
        followed.length = keep
        followed.push(...tokens.slice(0, this.#control[1]! - keep))
        if (isMasked) this.#ban(scores)
      },
      close: () => this.#worker.postMessage({ close: matcher }),
    }
  }

  get isBroken(): boolean {
    return this.#failed !== undefined
  }

  dispose(): void {
    this.#failed ??= new ForerunError("E_DISPOSED", "the grammar was disposed")
    void this.#worker.terminate()
  }

  /** Waits on this thread: what comes next depends on it. */
  #step(message: { readonly matcher: number; readonly keep: number; readonly tokens: readonly number[] }): boolean {
    if (this.#failed) throw this.#failed
    Atomics.store(this.#control, 0, 0)
    this.#worker.postMessage(message)
    if (Atomics.wait(this.#control, 0, 0, stepMs) === "timed-out") throw this.#fail("it did not answer in time")
    const reply = Atomics.load(this.#control, 0)
    if (reply === replies.failed) throw this.#fail("it gave up")
    return reply === replies.masked
  }

  /** @throws ForerunError E_GRAMMAR at a dead end, such as a rule that only names itself */
  #ban(scores: Float64Array): void {
    const mask = this.#mask
    if (mask.every((word) => word === 0))
      throw new ForerunError("E_GRAMMAR", "the grammar leads to a place where nothing may follow")
    for (let id = 0; id < scores.length; id++)
      if (((mask[id >> 5]! >>> (id & 31)) & 1) === 0) scores[id] = Number.NEGATIVE_INFINITY
  }

  #fail(what: string): ForerunError {
    this.#failed ??= new ForerunError("E_GRAMMAR", `the grammar could not be followed: ${what}`)
    void this.#worker.terminate()
    return this.#failed
  }
}

function ready(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (message: string) => {
      clearTimeout(timer)
      reject(new ForerunError("E_GRAMMAR", message))
    }
    const timer = setTimeout(
      () => refuse(`the grammar took longer than ${compileMs / 1000} seconds to compile`),
      compileMs,
    )
    worker.once("error", (error) => refuse(`the grammar could not be compiled: ${error.message}`))
    worker.once("exit", () => refuse("the grammar could not be compiled: its thread ended"))
    worker.once("message", (message: { ready?: true; error?: string }) => {
      if (message.error !== undefined) return refuse(`the grammar is not accepted: ${readable(message.error)}`)
      clearTimeout(timer)
      resolve()
    })
  })
}

/** "[FATAL] /home/x/regex_converter.cc:75: Regex parsing error" without its place in somebody's source. */
const readable = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.replace(/^\[\w+\] \S+:\d+: /, ""))
    .filter((line) => !/Aborted\(|ASSERTIONS/.test(line))
    .join("; ")
    .replace(/Check failed: \(.*\) is false: /, "")
    .slice(0, 400) || "the compiler gave up"
