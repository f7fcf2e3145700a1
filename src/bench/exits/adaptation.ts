/** A text that turns from code to prose and back: which exit DEL drafts from in each round, and how soon it has turned too. */
import type { Method } from "../../decoding/method.ts"
import type { Model } from "../../generate/model.ts"
import { choosePlan, paperCosts } from "../../methods/del/plan.ts"
import { createRandom } from "../../tensor/random.ts"
import { quantile } from "../statistics.ts"
import { type ExitReplaySettings, replayExits } from "./exit-replay.ts"
import { publishedTexts, worldLayers } from "./published-world.ts"
import { agreementOf, joined, type RecordedExits, recordExits } from "./recorded-exits.ts"
import { roundsUntil, simulateDel } from "./simulate-del.ts"

export interface Adaptation {
  /** In order; `best` is the exit that all of its answers together speak for, 0 where none pays. */
  readonly phases: readonly Phase[]
  /** The method's rounds with its usual decay. */
  readonly rounds: readonly AdaptedRound[]
  readonly delays: readonly Delay[]
}

export interface Phase {
  readonly name: string
  readonly best: number
  readonly tokens: number
}

export interface AdaptedRound {
  readonly phase: number
  /** 0: a plain step. */
  readonly exit: number
  readonly drafted: number
}

/** Rounds from a phase's begin until one drafts from its best exit, or from a neighbour of that; −1: none does. */
export interface Delay {
  readonly omega: number
  readonly phase: number
  readonly recorded: number
  /** Median, and what nine of ten stay below, where every exit is right by chance, as often as in the phases. */
  readonly simulated: number
  readonly simulatedHigh: number
}

const code = [
  "Write a Python function that returns the n-th Fibonacci number.",
  "Write a Python function that counts the words of a text.",
  "Write a Python class for a queue with push and pop.",
]
const prose = [
  "Write a short letter to a friend about a walk along a river in autumn.",
  "Tell a short story about a lighthouse keeper and a lost ship.",
  "Describe a market in a small town on a winter morning.",
]
const turns = [
  { name: "code", texts: code },
  { name: "prose", texts: prose },
  { name: "code again", texts: [...code].reverse() },
]
const omegas = [0.8, 0.95, 1]
const usualSeeds = 40

/** Greedy answers to prompts in one context, each asked behind everything before it. By phase. */
async function recordPhases(model: Model, listener: Model, exits: readonly number[], { maxTokens, signal }: Limits) {
  const sequence: number[] = []
  const { eosTokens, context } = model.info.config
  const phases: { name: string; records: RecordedExits[] }[] = []
  for (const { name, texts } of turns) {
    const records: RecordedExits[] = []
    for (const text of texts) {
      const asked = await model.encodePrompt(text)
      if (sequence.length + asked.length + maxTokens > context) sequence.length = 0 // forgets rather than ends
      sequence.push(...asked)
      const { tokens } = await model.generate({ tokens: sequence }, { maxTokens, temperature: 0, ...signal })
      const answer = eosTokens.includes(tokens.at(-1)!) ? tokens.slice(0, -1) : tokens
      const listened = { config: listener.info.config, forward: listener.forward.bind(listener) }
      if (answer.length > 1)
        records.push(await recordExits(listened, { source: name, prompt: sequence, answer }, exits))
      sequence.push(...tokens)
    }
    if (records.length > 0) phases.push({ name, records })
  }
  return phases
}

interface Limits {
  readonly maxTokens: number
  readonly signal: { readonly signal?: AbortSignal }
}

interface AdaptationParts extends Limits {
  /** Answers; the other one listens at its exits. */
  readonly plain: Model
  readonly model: Model
  readonly del: Method
  readonly exits: readonly number[]
  readonly settings: Pick<ExitReplaySettings, "config" | "tokenizer">
}

interface Part {
  readonly name: string
  readonly records: readonly RecordedExits[]
  /** How often exits are right, where that is known; default: as often as they were. */
  readonly acceptances?: ReadonlyMap<number, number>
}

interface JudgeParts extends Pick<AdaptationParts, "del" | "settings"> {
  /** Simulations of each change, default 40. */
  readonly seeds?: number | undefined
}

/** Costs are the paper's (layers only): where the head is dear nothing pays, and there would be nothing to see. */
export async function measureAdaptation(parts: AdaptationParts): Promise<Adaptation> {
  const found = await recordPhases(parts.plain, parts.model, parts.exits, parts)
  const [first = 1, second = first + 1] = parts.exits
  return judgeAdaptation(found, { ...parts, near: second - first })
}

/** The method over the published simulation's world: what its decisions come to where the numbers are known. */
export function adaptationPublished({ del, settings, seeds }: JudgeParts, seed = 1) {
  const config = { ...settings.config, layers: worldLayers, eosTokens: [] }
  const texts = publishedTexts(createRandom(seed))
  return judgeAdaptation(texts, { del, near: 2, seeds, settings: { ...settings, config } })
}

/** @param near layers that count as the best exit's neighbours */
export async function judgeAdaptation(
  found: readonly Part[],
  { del, near, settings, seeds = usualSeeds }: JudgeParts & { readonly near: number },
): Promise<Adaptation> {
  if (found.length === 0) return { phases: [], rounds: [], delays: [] }
  const costs = paperCosts(settings.config.layers)
  const shares = found.map(({ records, acceptances }) => acceptances ?? agreementOf(records))
  const phases = found.map(({ name, records }, i): Phase => {
    const { exit, length } = choosePlan(shares[i]!, costs)
    const tokens = records.reduce((sum, { answer }) => sum + answer.length, 0)
    return { name, best: length === 0 ? 0 : exit, tokens }
  })
  const whole = joined(found.flatMap(({ records }) => records))
  const run = async (omega: number): Promise<AdaptedRound[]> => {
    const options = { length: "planned", costs: "layers", refresh: 1, contextRows: 0, omega }
    const rounds = await replayExits(del, whole, { ...settings, cost: () => 1, options })
    let committed = 1 // the prompt's pass gave the first token
    return rounds.map(({ tokens, exit = 0, drafted }) => {
      const phase = phaseAt(phases, committed)
      committed += tokens
      return { phase, exit, drafted }
    })
  }
  const delays: Delay[] = []
  for (const omega of omegas) {
    const rounds = await run(omega)
    for (const phase of phases.keys()) {
      const { best } = phases[phase]!
      const from = rounds.findIndex((round) => round.phase === phase)
      const length = rounds.filter((round) => round.phase === phase).length
      if (phase === 0 || best === 0 || from < 0) continue
      const until = (list: readonly number[]) => roundsUntil(list.slice(0, from + length), from, { best, near }) ?? -1
      const simulated = Array.from({ length: seeds }, (_, seed) => {
        const random = createRandom(seed)
        const at = (round: number) => shares[rounds[round]?.phase ?? phase]!
        return until(simulateDel({ costs, omega, random: () => random.next(), at, rounds: from + length }).exits)
      })
      const sorted = simulated.map((delay) => (delay < 0 ? Number.POSITIVE_INFINITY : delay)).sort((a, b) => a - b)
      const share = (of: number) => {
        const value = quantile(sorted, of)
        return Number.isFinite(value) ? value : -1
      }
      const recorded = until(rounds.map(({ exit }) => exit))
      delays.push({ omega, phase, recorded, simulated: share(0.5), simulatedHigh: share(0.9) })
    }
  }
  return { phases, rounds: await run(0.95), delays }
}

function phaseAt(phases: readonly Phase[], place: number): number {
  let end = 0
  for (const [i, { tokens }] of phases.entries()) {
    end += tokens
    if (place < end) return i
  }
  return phases.length - 1
}
