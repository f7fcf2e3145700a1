/** For tests: a model without weights, whose answers last as long as the test wants. */
import type { GenerateOptions, GenerateResult, ModelInfo, PromptInput } from "../generate/types.ts"
import type { ServedModel } from "./context.ts"

export interface FakeModel extends ServedModel {
  /** Answers under way. */
  running(): number
  /** Lets all answers go on to their end. */
  release(): void
  readonly asked: { readonly prompt: PromptInput; readonly options: GenerateOptions }[]
}

const letters = ["a", "b", "c", "d", "e", "f", "g", "h"]

/** @param isHeld answers wait for `release`, or for their signal */
export function fakeModel(isHeld = false): FakeModel {
  let running = 0
  let go = () => {}
  let released: Promise<void> = isHeld
    ? new Promise<void>((resolve) => {
        go = resolve
      })
    : Promise.resolve()
  const asked: FakeModel["asked"] = []
  async function* stream(prompt: PromptInput, { signal, ...options }: GenerateOptions = {}) {
    asked.push({ prompt, options })
    running++
    try {
      yield { type: "prompt-read", tokens: 1, total: 1 } as const
      const aborted = new Promise<void>((resolve) => {
        if (signal?.aborted) resolve()
        else signal?.addEventListener("abort", () => resolve(), { once: true })
      })
      await Promise.race([released, aborted])
      const tokens = letters.slice(0, options.maxTokens ?? 4)
      if (signal?.aborted) return result("", "abort")
      for (const text of tokens) yield { type: "text-appended", branch: 0, text } as const
      return result(tokens.join(""), "length")
    } finally {
      running--
    }
  }
  return {
    info: {
      path: "/models/fake.gguf",
      architecture: "fake",
      config: { vocabulary: 8, context: 64 },
    } as unknown as ModelInfo,
    stream,
    async generate(prompt, options) {
      const events = stream(prompt, options)
      for (;;) {
        const next = await events.next()
        if (next.done) return next.value
      }
    },
    vocabulary: async () => ({
      bytes: new TextEncoder().encode(letters.join("")),
      ends: Int32Array.from(letters, (_, i) => i + 1),
      ...{ special: [], ending: [7], addsBegin: false },
    }),
    tokenize: async (text) => Int32Array.from(text, (letter) => letters.indexOf(letter)),
    detokenize: async (tokens) => Array.from(tokens, (id) => letters[id]).join(""),
    encodePrompt: async () => Int32Array.of(0),
    score: async () => ({ tokens: 1, logprobs: [], meanNll: 0, perplexity: 1 }),
    openCache: () => Promise.reject(new Error("the fake model holds no cache")),
    forward: () => Promise.reject(new Error("the fake model runs no passes")),
    ledger: () => Promise.reject(new Error("the fake model runs no passes")),
    running: () => running,
    release() {
      go()
      released = Promise.resolve()
    },
    asked,
  }
}

function result(text: string, finishReason: GenerateResult["finishReason"]): GenerateResult {
  return {
    ...{
      text,
      tokens: Array.from(text, (letter) => letters.indexOf(letter)),
      promptTokens: 1,
      cachedTokens: 0,
      finishReason,
    },
    ...{ method: "fake", lossless: true, seed: 1, passes: { target: 1, draft: 0 } },
    timings: { loadMs: 0, prefillMs: 0, decodeMs: 0, firstTokenMs: 0, tokensPerSecond: 0 },
  }
}
