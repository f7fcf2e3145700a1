/** Trained heads at work: a target's last state in, lists of guesses for the tokens after the next out. */
import { ForerunError } from "../../base/errors.ts"
import { draftVocabulary, type OpenedPart, type PartContext, partTensor } from "../../decoding/method-part.ts"
import { concat, Graph, topK } from "../../graph/index.ts"
import { linearFormats, type WeightFormat } from "../../models/formats.ts"
import { matrixOf } from "../../models/linear.ts"
import { memorySource } from "../../models/memory-source.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import { blockBias, blockWeight, type HeadShape, headStates, ownMatrix } from "./heads-graph.ts"

export interface Heads extends OpenedPart {
  readonly shape: HeadShape
  /** How often each guess came true on held-out answers when those above did, by depth and rank. */
  readonly chances: readonly (readonly number[])[]
  /** Bytes of weights that a guess goes through. */
  readonly bytes: number
  /** @param final the last kept row's state [hidden]. @returns token ids by head and rank */
  guess(final: Float32Array): Promise<readonly Int32Array[]>
  /** The same for many rows: ids by head, row and rank. */
  guessRows(finals: Float32Array, rows: number): Promise<readonly (readonly Int32Array[])[]>
}

/** Ranks that are looked at. */
export const mostRanks = 10

/** @throws E_MODEL_FORMAT when the tensors are no heads for this target */
export async function openHeads(context: Omit<PartContext, "record">, format: WeightFormat = "q8"): Promise<Heads> {
  const tensors = withoutPrefix(context.tensors)
  const given = { ...context, tensors }
  const { hidden, vocabulary } = context.target.config
  const shape = shapeOf(tensors)
  const chosen = draftVocabulary(given)
  const size = chosen?.length ?? vocabulary
  const ranks = Math.min(mostRanks, size)
  const chances = chancesOf(given, shape, ranks)
  const matrix = () => context.target.headRows(chosen ?? Int32Array.from({ length: vocabulary }, (_, id) => id))
  const { graph, bytes } = buildHeads(given, { shape, size, hidden, ranks, matrix, format })
  const runner = await context.openGraph(graph)
  const guessRows: Heads["guessRows"] = async (finals, rows) => {
    const feed = { type: "float32", shape: [rows, hidden], data: finals } as const
    const { indices } = await runner.run({ final: feed }, ["indices"], rows)
    const places = Int32Array.from(indices!.data as BigInt64Array, Number)
    const list = (from: number) => places.slice(from, from + ranks).map((place) => chosen?.[place] ?? place)
    return Array.from({ length: shape.heads }, (_, head) =>
      Array.from({ length: rows }, (_, row) => list((head * rows + row) * ranks)),
    )
  }
  return {
    shape,
    chances,
    bytes,
    guessRows,
    guess: async (final) => (await guessRows(final, 1)).map(([list]) => list!),
    dispose: () => runner.dispose(),
  }
}

interface HeadsBuild {
  readonly shape: HeadShape
  /** Tokens that are scored. */
  readonly size: number
  readonly hidden: number
  readonly ranks: number
  /** The target's rows for them. */
  readonly matrix: () => Float32Array
  /** How the matrices that score tokens are held. */
  readonly format: WeightFormat
}

/** Input final [rows, hidden]; output indices [heads · rows, ranks], best first. */
function buildHeads(context: Pick<PartContext, "tensors">, build: HeadsBuild): { graph: Graph; bytes: number } {
  const { shape, size, hidden, ranks, matrix, format } = build
  const graph = new Graph()
  let bytes = 0
  const stored = (name: string, axes: readonly number[]) => {
    const known = graph.values.get(name)
    if (known) return known
    const { values } = partTensor(context, name, axes)
    bytes += values.byteLength
    return graph.weight(name, "float32", axes, () => bytesOf(values))
  }
  /** Words are scored with 8-bit rows: a guess that is close may fall another way, and guesses are verified. */
  const scored = (name: string, values: Float32Array) => {
    bytes += values.length * (format === "f32" ? 4 : 1)
    const source = memorySource(new Map([[name, { shape: [size, hidden], values }]]))
    return linearFormats[format](graph, matrixOf(source, name, [source.tensors.get(name)!], true))
  }
  const final = graph.input("final", "float32", ["rows", hidden])
  const states = Array.from({ length: shape.heads }, (_, head) =>
    headStates(final, head, shape.blocks, (name) => stored(name, name.endsWith("bias") ? [hidden] : [hidden, hidden])),
  )
  const own = (head: number) => {
    const name = ownMatrix(head, shape.blocks)
    return scored(name, partTensor(context, name, [size, hidden]).values)
  }
  const logits =
    shape.matrix === "shared"
      ? scored("matrix", matrix())(concat(states, 0))
      : concat(
          states.map((z, head) => own(head)(z)),
          0,
        )
  graph.output("indices", topK(logits, graph.constant("int64", [1], [ranks]), ranks).indices)
  return { graph, bytes }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength)

/** Checkpoints of the legacy code call the list of heads medusa_head. */
const withoutPrefix = (tensors: ReadonlyMap<string, PartTensor>): ReadonlyMap<string, PartTensor> =>
  new Map([...tensors].map(([name, tensor]) => [name.replace(/^medusa_head\./, ""), tensor]))

function shapeOf(tensors: ReadonlyMap<string, PartTensor>): HeadShape {
  const count = (name: (index: number) => string) => {
    let index = 0
    while (tensors.has(name(index))) index++
    return index
  }
  const heads = count((head) => blockWeight(head, 0))
  const blocks = count((block) => blockWeight(0, block))
  if (heads === 0)
    throw new ForerunError("E_MODEL_FORMAT", `heads need a tensor ${blockWeight(0, 0)}, and there is none`)
  const known = Array.from({ length: heads }, (_, head) => [
    ...Array.from({ length: blocks }, (_, block) => [blockWeight(head, block), blockBias(head, block)]).flat(),
    ...(tensors.has(ownMatrix(0, blocks)) ? [ownMatrix(head, blocks)] : []),
  ]).flat()
  const missing = known.find((name) => !tensors.has(name))
  const beside = [...tensors.keys()].find((name) => /^\d/.test(name) && !known.includes(name))
  if (missing ?? beside)
    throw new ForerunError(
      "E_MODEL_FORMAT",
      missing ? `heads need a tensor ${missing}, and there is none` : `heads with a tensor ${beside} are not known`,
    )
  return { heads, blocks, matrix: tensors.has(ownMatrix(0, blocks)) ? "own" : "shared" }
}

/** Tensor `calibration` [heads, ranks]; without one, what heads of another model reached (assets/medusa_acc.csv). */
function chancesOf(context: Pick<PartContext, "tensors">, { heads }: HeadShape, ranks: number): number[][] {
  if (!context.tensors.has("calibration"))
    return Array.from({ length: heads }, (_, head) =>
      Array.from({ length: ranks }, (_, rank) => (uncalibrated[head] ?? uncalibrated.at(-1)!) * 0.4 ** rank),
    )
  const { shape, values } = partTensor(context, "calibration", [heads, -1])
  const width = shape[1]!
  if (values.some((chance) => chance < 0 || chance > 1))
    throw new ForerunError("E_MODEL_FORMAT", "a calibration holds shares, from 0 to 1")
  return Array.from({ length: heads }, (_, head) => [
    ...values.subarray(head * width, head * width + Math.min(width, ranks)),
  ])
}

const uncalibrated = [0.56, 0.316, 0.201, 0.147, 0.118]
