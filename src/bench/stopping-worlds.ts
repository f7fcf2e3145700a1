/**
 * Real drafts whose outcomes are thrown anew, from chances that are known: where every token has the same one no head can
 * gain over the best fixed length, and where the draft model's states tell the chance a trained one must.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type AcceptanceHead, createAcceptanceHead } from "../methods/specdec-plus-plus/acceptance-head.ts"
import type { Judged } from "../methods/specdec-plus-plus/labels.ts"
import { headRecipe } from "../methods/specdec-plus-plus/train.ts"
import { headTraining } from "../methods/specdec-plus-plus/train-head.ts"
import { readTensors } from "../models/trained-part.ts"
import { concatenate } from "../tensor/concatenate.ts"
import { median } from "../tensor/math.ts"
import { createRandom, type Random } from "../tensor/random.ts"
import { resolveSettings } from "../train/settings.ts"
import { train } from "../train/trainer.ts"
import { judgedTokens } from "./draft-lines.ts"
import type { DraftedAnswer, DraftedLine } from "./draft-replay.ts"
import { compareStops, type StopComparison, stopPolicies } from "./stopping-policies.ts"

export interface StopWorld {
  readonly name: string
  /** Of a token to be right, by the hidden state of the row that read it. */
  chanceOf(hidden: Float32Array): number
}

export const constantWorld: StopWorld = { name: "every token right with chance 0.8", chanceOf: () => 0.8 }

/** A token's chance is one of two, by which side of the middle its state lies on along a direction drawn at random. */
export function twoKinds(answers: readonly DraftedAnswer[], seed: number): StopWorld {
  const random = createRandom(seed).fork("direction")
  const rows = judgedTokens(answers)
  const direction = Float32Array.from({ length: rows[0]!.hidden.length }, () => random.next() * 2 - 1)
  const along = (hidden: Float32Array) => hidden.reduce((sum, value, i) => sum + value * direction[i]!, 0)
  const middle = median(rows.map(({ hidden }) => along(hidden)))
  return {
    name: "chance 0.95 or 0.3, as the draft model's state says",
    chanceOf: (hidden) => (along(hidden) > middle ? 0.95 : 0.3),
  }
}

/** The same lines with outcomes drawn from the world: one throw for each place of an answer, whichever line reaches it. */
export function thrown(answers: readonly DraftedAnswer[], { chanceOf }: StopWorld, random: Random): DraftedAnswer[] {
  return answers.map(({ tokens, lineFrom }, index) => {
    const own = random.fork(index)
    const throws = Array.from({ length: tokens }, () => own.next())
    const known = new Map<number, DraftedLine>()
    const lineAt = (place: number): DraftedLine => {
      const { drafted } = lineFrom(place)
      // A token is read by the row that drafts the next; the last one's row was never made.
      const isWrong = drafted.findIndex(
        (token, i) => throws[place + 1 + i]! >= chanceOf((drafted[i + 1] ?? token).hidden!),
      )
      const line = { drafted, right: isWrong < 0 ? drafted.length : isWrong }
      known.set(place, line)
      return line
    }
    return { tokens, lineFrom: (place) => known.get(place) ?? lineAt(place) }
  })
}

export interface WorldResult extends StopComparison {
  readonly name: string
}

export interface WorldOptions {
  readonly longest: number
  readonly seed: number
  readonly threads: number
  /** Of the head's training; default 300. */
  readonly steps?: number
}

/** Each answer is told so many times over, with other outcomes: chance alone must not look like a gain. */
const throws = 5

/** Trains a head on one throw of the world's outcomes, by the recipe's own code, and compares it on others. */
export async function compareInWorld(
  answers: readonly DraftedAnswer[],
  world: StopWorld,
  options: WorldOptions,
): Promise<WorldResult> {
  const { longest, seed } = options
  const random = createRandom(seed).fork(world.name)
  const again = (name: string | number) => thrown(answers, world, random.fork(name))
  const head = await trainedHead({ learned: rowsOf(again("training")), held: rowsOf(again("validation")) }, options)
  const told = Array.from({ length: throws }, (_, i) => again(i)).flat()
  const policies = stopPolicies({ accepts: (hidden) => head.accepts(hidden), row: "reads" }, longest)
  // The draft model's confidence says nothing of outcomes that it has no part in.
  const compared = policies.filter(({ family }) => family === "fixed" || family === "head")
  return { name: world.name, ...compareStops(told, compared) }
}

function rowsOf(answers: readonly DraftedAnswer[]): Judged {
  const rows = judgedTokens(answers)
  const states = concatenate(
    rows.map(({ hidden }) => hidden),
    Float32Array,
  )
  return { states, acceptance: Float32Array.from(rows, ({ happened }) => Number(happened)) }
}

async function trainedHead(
  rows: { readonly learned: Judged; readonly held: Judged },
  { seed, threads, steps = 300 }: WorldOptions,
): Promise<AcceptanceHead> {
  const samples = Math.min(rows.learned.acceptance.length, headRecipe.defaults.batch)
  const { options, hyper } = resolveSettings(headRecipe, { steps: String(steps), batch: String(samples) })
  const depth = Number(options.depth)
  const width = rows.learned.states.length / rows.learned.acceptance.length
  const shape = { width, depth, tied: options.tied === true }
  const folder = mkdtempSync(join(tmpdir(), "forerun-head-"))
  try {
    const { weights } = await train({
      recipe: headRecipe,
      training: headTraining({ ...rows, shape, rejectWeight: Number(options.rejectWeight) }),
      ...{ hyper, options, folder, seed, threads },
      target: { sha256: "" },
    })
    return createAcceptanceHead(readTensors(weights.file), depth)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
