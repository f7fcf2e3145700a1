/** The prompts of the game as data: how a question, a candidate and a judgement are written out. */
import { ForerunError } from "../../base/errors.ts"

/** `{question}` and `{candidate}` are replaced; everything else is taken as it stands. */
export interface RankPrompts {
  /** What is read before the candidate. Its last occurrence of `answerLabel` is the one that changes. */
  readonly generator: string
  readonly answerLabel: string
  /** Takes the label's place where the generator is told to be wrong. */
  readonly incorrectLabel: string
  /** Whether the label changes in the exemplars too. */
  readonly replaceInExemplars: boolean
  /** What is read before the judgement; it holds both marks. */
  readonly discriminator: string
  /** Correct, incorrect; best of the same number of tokens. */
  readonly judgements: readonly [string, string]
  /** Between the generator's prompt and the candidate. */
  readonly separator: string
  /** One solved example, with both marks. */
  readonly exemplar: string
}

export const defaultPrompts: RankPrompts = {
  generator: "Question: {question}\nAnswer:",
  answerLabel: "Answer:",
  incorrectLabel: "Incorrect Answer:",
  replaceInExemplars: false,
  discriminator: "Question: {question}\nProposed answer: {candidate}\nThe proposed answer is",
  judgements: [" correct", " incorrect"],
  separator: " ",
  exemplar: "Question: {question}\nAnswer: {candidate}\n\n",
}

export interface Exemplar {
  readonly question: string
  readonly candidate: string
}

/** The texts of one question: a prompt for each claim, one a candidate for the judgement. */
export interface RankTexts {
  /** Read before every candidate: [correct, incorrect] */
  readonly generator: readonly [string, string]
  /** [n] */
  readonly candidates: readonly string[]
  /** Read before the judgement: [n] */
  readonly discriminator: readonly string[]
  readonly judgements: readonly [string, string]
}

export function rankTexts(
  { question, candidates }: { readonly question: string; readonly candidates: readonly string[] },
  prompts: RankPrompts,
  exemplars: readonly Exemplar[] = [],
): RankTexts {
  const { answerLabel, incorrectLabel } = prompts
  const shown = exemplars.map((exemplar) => fill(prompts.exemplar, exemplar)).join("")
  const query = fill(prompts.generator, { question })
  const told = prompts.replaceInExemplars ? shown.replaceAll(answerLabel, () => incorrectLabel) : shown
  return {
    generator: [shown + query, told + replaceLast(query, answerLabel, incorrectLabel)],
    candidates: candidates.map((candidate) => prompts.separator + candidate),
    discriminator: candidates.map((candidate) => shown + fill(prompts.discriminator, { question, candidate })),
    judgements: prompts.judgements,
  }
}

/** A caller's prompts over the default ones. @throws E_INPUT naming what is wrong */
export function readPrompts(given: unknown): RankPrompts {
  if (given === undefined) return defaultPrompts
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw bad("an object", given)
  for (const [name, value] of Object.entries(given)) {
    const known: unknown = (defaultPrompts as unknown as Record<string, unknown>)[name]
    if (known === undefined || !Object.hasOwn(defaultPrompts, name))
      throw bad("no other names than the default's", name)
    const fits =
      name === "judgements"
        ? Array.isArray(value) &&
          value.length === 2 &&
          value.every((judgement) => typeof judgement === "string" && judgement)
        : typeof value === typeof known
    if (!fits) throw bad(name === "judgements" ? "judgements of two texts" : `${name} as a ${typeof known}`, value)
  }
  const prompts = { ...defaultPrompts, ...given }
  const marks: [keyof RankPrompts, string][] = [
    ["generator", "{question}"],
    ["generator", prompts.answerLabel],
    ["discriminator", "{question}"],
    ["discriminator", "{candidate}"],
    ["exemplar", "{candidate}"],
  ]
  for (const [name, mark] of marks)
    if (mark === "" || !(prompts[name] as string).includes(mark)) throw bad(`${name} with ${mark} in it`, prompts[name])
  return prompts
}

/** In one go, so that a question that spells a mark is left alone. */
const fill = (template: string, values: Partial<Exemplar>): string =>
  template.replace(/\{(question|candidate)\}/g, (mark, name: keyof Exemplar) => values[name] ?? mark)

function replaceLast(text: string, from: string, to: string): string {
  const at = text.lastIndexOf(from)
  return text.slice(0, at) + to + text.slice(at + from.length)
}

const bad = (needed: string, found: unknown): ForerunError =>
  new ForerunError("E_INPUT", `prompts need ${needed}, found ${JSON.stringify(found)}`)
