/** What every exit of a model says at each place of a known answer: one pass over the text, and the head on its states. */
import type { ForwardPass, ForwardResult, ModelRunner } from "../../runtime/pass.ts"

export interface KnownAnswer {
  /** The task it belongs to. */
  readonly source: string
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
}

/** The likeliest token of each row, and its probability. */
export interface Said {
  readonly tokens: Int32Array
  readonly confidence: Float32Array
}

/**
 * Rows are places of the text in order: `promptRows` of the prompt's last ones, then one for each token of the answer
 * but the last. The last row of the prompt says the answer's first token.
 */
export interface RecordedExits {
  readonly source: string
  readonly answer: readonly number[]
  readonly promptRows: number
  /** By layers run, the whole model's among them. [promptRows + answer − 1] */
  readonly said: ReadonlyMap<number, Said>
}

/** As far as it is asked here: a runner, or a model in its own thread. */
export interface Listened extends Pick<ModelRunner, "config"> {
  forward(pass: Omit<ForwardPass, "cache">): Promise<Pick<ForwardResult, "top" | "hidden">>
}

/** The most that any method reads of a prompt's end. */
const mostPromptRows = 128
/** Rows of a pass of the head. */
const headRows = 128

/** @param exits layers after which to listen */
export async function recordExits(
  model: Listened,
  { source, prompt, answer }: KnownAnswer,
  exits: readonly number[],
): Promise<RecordedExits> {
  const { layers, hidden: width } = model.config
  const promptRows = Math.min(prompt.length, mostPromptRows)
  const tokens = Int32Array.from([...prompt, ...answer.slice(0, -1)])
  const wanted = [...exits, layers]
  const { hidden } = await model.forward({ input: { tokens }, want: { logits: "none", hidden: wanted } })
  const said = new Map<number, Said>()
  for (const layer of wanted) {
    const states = hidden.get(layer)!.data.subarray((prompt.length - promptRows) * width)
    said.set(layer, await saidOf(model, states))
  }
  return { source, answer, promptRows, said }
}

async function saidOf(model: Listened, states: Float32Array): Promise<Said> {
  const { layers, hidden: width } = model.config
  const rows = states.length / width
  const said = { tokens: new Int32Array(rows), confidence: new Float32Array(rows) }
  for (let from = 0; from < rows; from += headRows) {
    const { top } = await model.forward({
      input: { hidden: states.slice(from * width, (from + headRows) * width) },
      layers: [layers, layers],
      want: { logits: "all", top: 1 },
    })
    said.tokens.set(top!.ids, from)
    said.confidence.set(
      top!.values.map((value, i) => Math.exp(value - top!.logMasses[i]!)),
      from,
    )
  }
  return said
}

/** Several answers as one long one, read after the first one's prompt: each goes on where the one before it ended. */
export function joined(parts: readonly RecordedExits[]): RecordedExits {
  const [first] = parts
  /** An answer's own rows, and the one that says its first token; of the first answer also the prompt's. */
  const rowsOf = <T extends Int32Array | Float32Array>(row: (part: RecordedExits) => T) =>
    parts.flatMap((part, i) => [...row(part).subarray(i === 0 ? 0 : part.promptRows - 1)])
  const said = new Map(
    [...first!.said.keys()].map((layer): [number, Said] => [
      layer,
      {
        tokens: Int32Array.from(rowsOf((part) => part.said.get(layer)!.tokens)),
        confidence: Float32Array.from(rowsOf((part) => part.said.get(layer)!.confidence)),
      },
    ]),
  )
  return { ...first!, answer: parts.flatMap(({ answer }) => answer), said }
}

/** How often each exit says what the whole model says, over the places of the answers. By exit. */
export function agreementOf(recorded: readonly RecordedExits[]): Map<number, number> {
  const layers = Math.max(...recorded[0]!.said.keys())
  const shares = new Map<number, number>()
  for (const exit of recorded[0]!.said.keys()) {
    if (exit === layers) continue
    let [right, rows] = [0, 0]
    for (const { said, promptRows } of recorded) {
      const whole = said.get(layers)!.tokens.subarray(promptRows - 1)
      const own = said.get(exit)!.tokens.subarray(promptRows - 1)
      rows += whole.length
      for (const [row, token] of own.entries()) if (token === whole[row]) right++
    }
    shares.set(exit, right / rows)
  }
  return shares
}
