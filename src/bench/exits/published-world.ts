/** The published simulation's world as a text: 32 layers, exits right by chance, easy from about layer 7 on and then from about 16. */
import type { Random } from "../../tensor/random.ts"
import type { RecordedExits, Said } from "./recorded-exits.ts"

export const worldLayers = 32

/** Acceptance after each layer but the last: a soft step, as exits of trained models have it. */
const profile = (highest: number, middle: number, width: number): ReadonlyMap<number, number> =>
  new Map(
    Array.from({ length: worldLayers - 1 }, (_, i) => [i + 1, highest / (1 + Math.exp(-(i + 1 - middle) / width))]),
  )
export const easy = profile(0.96, 6.5, 1.75)
export const hard = profile(0.92, 16, 1.75)

/** An answer whose exits are right by chance, each on its own. */
export function chanceRecord(
  source: string,
  acceptances: ReadonlyMap<number, number>,
  { tokens, random }: { readonly tokens: number; readonly random: Random },
): RecordedExits {
  const [right, wrong] = [0, 1]
  const confidence = new Float32Array(tokens).fill(0.5)
  const saidBy = (acceptance: number): Said => ({
    tokens: Int32Array.from({ length: tokens }, () => (random.next() < acceptance ? right : wrong)),
    confidence,
  })
  const said = new Map([...acceptances].map(([exit, acceptance]) => [exit, saidBy(acceptance)]))
  said.set(worldLayers, saidBy(1))
  return { source, answer: new Array<number>(tokens).fill(right), promptRows: 1, said }
}

/** Rounds from 150 on are the hard text's, about; then it is as long again. */
export function publishedTexts(random: Random) {
  const some = (name: string, acceptances: ReadonlyMap<number, number>, tokens: number) => ({
    name,
    acceptances,
    records: [chanceRecord(name, acceptances, { tokens, random })],
  })
  return [some("an easy text", easy, 600), some("a hard one", hard, 400)]
}
