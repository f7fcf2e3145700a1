/** forerun distil: the target's own answers to many prompts, for training drafts (self-distillation). */
import { setMaxListeners } from "node:events"
import { inLanes } from "../../base/lanes.ts"
import { validateSampling } from "../../decoding/sampling-options.ts"
import type { Model } from "../../generate/model.ts"
import { loadContinuation } from "../../methods/index.ts"
import { createRandom } from "../../tensor/random.ts"
import type { ChatMessage } from "../../text/chat-template.ts"
import type { Answer } from "../../train/answers.ts"
import { followUps } from "../distil/frames.ts"
import { collectPrompts, type DistilPrompt, type PromptFile, type PromptSet } from "../distil/prompts.ts"
import { collectRuns } from "../distil/word-runs.ts"
import type { EngineFlags } from "../flags.ts"
import { createItemProgress } from "../item-progress.ts"
import { type Output, usageError } from "../output.ts"
import { readText } from "../read-text.ts"
import { openResumed, type ResumedFile, withFields } from "../resumed-file.ts"
import { shardOf } from "../shard.ts"
import { withModel } from "../with-model.ts"

interface Flags extends EngineFlags {
  readonly prompts?: readonly string[]
  readonly out?: string
  readonly exclude?: readonly string[]
  readonly shard?: string
  readonly tokens?: number
  readonly maxTokens?: number
  readonly longestPrompt?: number
  readonly sampled?: number
  readonly temperature?: number
  readonly followUps?: number
  readonly method?: string
  readonly seed?: number
  readonly concurrency?: number
  readonly plan?: boolean
}

/** @returns the exit code; 130 after Ctrl-C, which leaves a file to go on from */
export async function distil(_: readonly unknown[], flags: Flags, output: Output): Promise<number> {
  if (flags.prompts === undefined) throw usageError("give prompts: --prompts <files…>")
  const settings = settingsOf(flags)
  const { concurrency = 16 } = flags
  const part = shardOf(flags.shard)
  await loadContinuation(settings.method)
  const files = await Promise.all(flags.prompts.map(promptFile))
  const exclude = collectRuns(await Promise.all((flags.exclude ?? []).map(readText)))
  const set = collectPrompts(files, exclude)
  if (flags.plan) return plan(set, output)
  const { out } = flags
  if (out === undefined) throw usageError("give a file for the answers: --out <file>")
  const prompts = set.prompts.filter((_, i) => i % part.of === part.index)
  return withModel(flags, output, async (model, signal) => {
    const file = openResumed(out, { target: model.info.name ?? model.info.path, ...settings }, "id")
    try {
      const told = await answerAll({ model, file, prompts, settings, signal, concurrency, most: flags.tokens })
      if (output.json) output.object({ out, ...told })
      else output.text(`${told.answers} answers of ${told.tokens} tokens in ${out}\n`)
      return 0
    } finally {
      file.close()
    }
  })
}

/** What makes two runs comparable. */
function settingsOf(flags: Flags) {
  const { maxTokens = 128, longestPrompt = 384, sampled = 0.25, temperature = 0.7, seed = 1 } = flags
  const { followUps: asked = 0.2, method = "autoregressive" } = flags
  for (const [name, share] of Object.entries({ sampled, "follow-ups": asked }))
    if (!(share >= 0 && share <= 1)) throw usageError(`--${name} is a share, from 0 to 1`)
  validateSampling({ temperature }, 1)
  return { maxTokens, longestPrompt, sampled, temperature, followUps: asked, method, seed }
}
type Settings = ReturnType<typeof settingsOf>

/** "file" or "file=limit". */
async function promptFile(given: string): Promise<PromptFile> {
  const [, path, limit] = /^(.*)=(\d+)$/.exec(given) ?? []
  if (path === undefined) return { path: given, text: await readText(given) }
  return { path, text: await readText(path), limit: Number(limit) }
}

function plan({ prompts, repeated, excluded }: PromptSet, output: Output): number {
  const counts: Record<string, number> = {}
  for (const { source } of prompts) counts[source] = (counts[source] ?? 0) + 1
  const told = { prompts: prompts.length, sources: counts, repeated, excluded }
  if (output.json) output.object(told)
  else {
    const lines = Object.entries({ ...counts, "in all": prompts.length, repeated, excluded })
    output.text(`${lines.map(([name, count]) => `${name.padEnd(24)}${count}`).join("\n")}\n`)
  }
  return 0
}

const isAnswer = withFields<Answer>({ answer: "list" })

interface Work {
  readonly model: Model
  readonly file: ResumedFile
  readonly prompts: readonly DistilPrompt[]
  readonly settings: Settings
  readonly signal: AbortSignal
  /** Conversations at once: their passes run merged. */
  readonly concurrency: number
  /** Answer tokens in the file after which it is enough. */
  readonly most: number | undefined
}

async function answerAll(work: Work): Promise<{ answers: number; tokens: number }> {
  const { file, prompts, signal, concurrency, most = Number.POSITIVE_INFINITY } = work
  let answers = file.keys.size
  let tokens = [...file.keys].reduce((sum, id) => sum + file.read(id, isAnswer)!.answer.length, 0)
  const progress = createItemProgress(prompts.length, "prompts")
  let done = 0
  setMaxListeners(0, signal) // one for each conversation
  try {
    await inLanes(prompts, concurrency, async (prompt) => {
      if (signal.aborted || tokens >= most) return
      if (!file.keys.has(prompt.id))
        for (const { id, ...answer } of await conversation(prompt, work)) {
          file.append(id, answer)
          answers++
          tokens += answer.answer.length
        }
      progress.update(++done)
    })
  } finally {
    progress.stop()
  }
  return { answers, tokens }
}

/** The answer to a prompt, and for some what is answered to a further question; none when it is too long or cut off. */
async function conversation({ id, source, text }: DistilPrompt, work: Work): Promise<Answer[]> {
  const { settings } = work
  const random = createRandom(settings.seed).fork(id)
  const temperature = random.next() < settings.sampled ? settings.temperature : 0
  const goesOn = random.next() < settings.followUps && work.model.info.chatTemplate
  const common = { source, temperature, seed: Math.floor(random.next() * 2 ** 32) }
  const messages: ChatMessage[] = [{ role: "user", content: text }]
  const first = await answer(messages, common, work)
  if (!first) return []
  const answers: Answer[] = [{ id, ...common, ...first.tokens }]
  if (!goesOn) return answers
  const content = followUps[Math.floor(random.next() * followUps.length)]!
  messages.push({ role: "assistant", content: first.text }, { role: "user", content })
  const second = await answer(messages, common, work)
  return second ? [...answers, { id: `${id}-2`, ...common, ...second.tokens }] : answers
}

async function answer(
  messages: readonly ChatMessage[],
  { temperature, seed }: Pick<Answer, "temperature" | "seed">,
  { model, settings, signal }: Work,
): Promise<{ tokens: Pick<Answer, "prompt" | "answer">; text: string } | undefined> {
  const asked = model.info.chatTemplate ? messages : (messages[0]!.content as string)
  const prompt = Array.from(await model.encodePrompt(asked))
  if (prompt.length > settings.longestPrompt || signal.aborted) return undefined
  const { maxTokens, method } = settings
  const result = await model.generate({ tokens: prompt }, { method, maxTokens, temperature, seed, signal })
  if (result.finishReason === "abort") return undefined
  return { tokens: { prompt, answer: result.tokens }, text: result.text }
}
