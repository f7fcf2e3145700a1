/** The grammars of one model: each compiled once, kept while it is used, and the last few beyond that. */
import { ForerunError } from "../../base/errors.ts"
import { spellBytes } from "../../text/byte-alphabet.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import { CompiledGrammar, type GrammarMatcher, type GrammarVocabulary } from "./compiled-grammar.ts"
import { checkGrammar, type Grammar } from "./grammar.ts"

interface Kept {
  readonly compiled: Promise<CompiledGrammar>
  users: number
}

const mostIdle = 4
/** Each is a thread with a vocabulary of its own. */
const mostAtAll = 32

export class Grammars {
  readonly #tokenizer: Tokenizer
  readonly #size: number
  readonly #ending: readonly number[]
  readonly #kept = new Map<string, Kept>() // the least recently used first
  #vocabulary: GrammarVocabulary | undefined

  /** @param size width of the logits, which may exceed the tokenizer's */
  constructor(tokenizer: Tokenizer, { size, ending }: { readonly size: number; readonly ending: Iterable<number> }) {
    this.#tokenizer = tokenizer
    this.#size = size
    this.#ending = [...ending]
  }

  /** @throws ForerunError E_GRAMMAR */
  async open(grammar: Grammar): Promise<GrammarMatcher> {
    const key = JSON.stringify(checkGrammar(grammar))
    const kept = this.#take(key) ?? this.#add(key, grammar)
    kept.users++
    const leave = () => {
      kept.users--
      this.#tidy()
    }
    try {
      const matcher = (await kept.compiled).open()
      return {
        process: matcher.process,
        close() {
          matcher.close()
          leave()
        },
      }
    } catch (thrown) {
      this.#kept.delete(key)
      leave()
      throw thrown
    }
  }

  async openIfGiven(grammar: Grammar | undefined): Promise<GrammarMatcher | undefined> {
    return grammar === undefined ? undefined : this.open(grammar)
  }

  dispose(): void {
    for (const { compiled } of this.#kept.values()) compiled.then((one) => one.dispose()).catch(() => {})
    this.#kept.clear()
  }

  #take(key: string): Kept | undefined {
    const kept = this.#kept.get(key)
    if (!kept) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    return kept
  }

  #add(key: string, grammar: Grammar): Kept {
    if (this.#kept.size >= mostAtAll)
      throw new ForerunError("E_GRAMMAR", `at most ${mostAtAll} grammars can be in use at a time`)
    this.#vocabulary ??= describe(this.#tokenizer, this.#size, this.#ending)
    const kept: Kept = { compiled: CompiledGrammar.compile(grammar, this.#vocabulary), users: 0 }
    this.#kept.set(key, kept)
    return kept
  }

  /** Those that broke go at once, those nobody uses when there are too many of them. */
  #tidy(): void {
    const idle = [...this.#kept].filter(([, { users }]) => users === 0)
    for (const [i, [key, { compiled }]] of idle.entries())
      compiled
        .then((one) => {
          if (!one.isBroken && i >= idle.length - mostIdle) return
          if (this.#kept.get(key)?.users !== 0) return
          this.#kept.delete(key)
          one.dispose()
        })
        .catch(() => {})
  }
}

function describe(tokenizer: Tokenizer, size: number, ending: readonly number[]): GrammarVocabulary {
  const spell = (id: number): string =>
    id >= tokenizer.size || tokenizer.isSpecial(id) ? "" : spellBytes(tokenizer.bytes(id))
  return { spellings: Array.from({ length: size }, (_, id) => spell(id)), ending }
}
