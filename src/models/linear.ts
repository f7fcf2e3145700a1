/** How weight matrices are held and applied: float32, 8-bit rows, 8- or 4-bit blocks. */
import type { Graph, Value } from "../graph/index.ts"
import {
  absolute,
  blockMatmul,
  concat,
  divide,
  fusedMatmul,
  integerMatmul,
  multiply,
  quantizeLinear,
  reduceMax,
  reshape,
  withoutLast,
} from "../graph/index.ts"
import { concatenate } from "../tensor/concatenate.ts"
import { dequantise } from "./files/dequantise.ts"
import { heldExactly, packAsIs } from "./packing/as-is.ts"
import { type PackedBlocks, packBlocks4, packBlocks8 } from "./packing/blocks.ts"
import { hadamard, rotate, rotationSize } from "./packing/rotate.ts"
import { createPackedRows, packRows8 } from "./packing/rows.ts"
import type { TensorInfo, WeightSource } from "./weights.ts"

/** Rows of some tensors of a checkpoint, stacked: [out, in]. Fused projections are one product over several tensors. */
export interface Matrix {
  readonly name: string
  readonly out: number
  readonly in: number
  readonly tensors: readonly TensorInfo[]
  readonly source: WeightSource
  /** Whether some columns of its input are far larger than the rest: a format may turn them into each other. */
  readonly outliers: boolean
}

export type Linear = (x: Value) => Value

/** Adds a matrix to the graph and returns its product; weights are packed when the model is written, one at a time. */
export type LinearFormat = (graph: Graph, matrix: Matrix) => Linear

export function matrixOf(source: WeightSource, name: string, tensors: readonly TensorInfo[], outliers = false): Matrix {
  const out = tensors.reduce((sum, tensor) => sum + tensor.shape[0]!, 0)
  return { name, out, in: tensors[0]!.shape[1]!, tensors, source, outliers }
}

/** Rows opened at a time: few enough to stay in the processor's cache while they are packed. */
const chunkRows = 256

/** The matrix as float32, a run of rows at a time. */
function* matrixChunks(matrix: Matrix): Generator<{ values: Float32Array; first: number; rows: number }> {
  let first = 0
  for (const { name, type, shape } of matrix.tensors) {
    const raw = matrix.source.raw(name)
    const rowBytes = raw.length / shape[0]!
    for (let row = 0; row < shape[0]!; row += chunkRows) {
      const rows = Math.min(chunkRows, shape[0]! - row)
      const values = dequantise(type, raw.subarray(row * rowBytes, (row + rows) * rowBytes), rows * matrix.in)
      yield { values, first: first + row, rows }
    }
    first += shape[0]!
  }
}

/** The whole matrix as float32 [out, in]. */
export function matrixValues(matrix: Matrix): Float32Array {
  const [only] = matrix.tensors
  if (matrix.tensors.length === 1) return matrix.source.float32(only!.name)
  const values = new Float32Array(matrix.out * matrix.in)
  for (const chunk of matrixChunks(matrix)) values.set(chunk.values, chunk.first * matrix.in)
  return values
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Packs once for all initialisers of a matrix and lets go of the result when the last has been taken. */
function packOnce<T extends object, Parts extends readonly ((packed: T) => ArrayBufferView)[]>(
  pack: () => T,
  ...parts: Parts
) {
  let packed: T | undefined
  let left = parts.length
  return parts.map((part) => () => {
    packed ??= pack()
    const bytes = bytesOf(part(packed))
    if (--left === 0) {
      packed = undefined
      left = parts.length
    }
    return bytes
  })
}

export const float32Format: LinearFormat = (graph, matrix) => {
  const weight = graph.weight(matrix.name, "float32", [matrix.out, matrix.in], () => bytesOf(matrixValues(matrix)))
  return (x) => fusedMatmul(x, weight, { transB: true })
}

/** int8 per output row against uint8 activations with one scale per row of x ("q8"); inputs with outliers are rotated. */
export const rows8Format: LinearFormat = (graph, matrix) => {
  const block = matrix.outliers ? rotationSize(matrix.in) : undefined
  const [data, scales] = packOnce(
    () => {
      const rows = createPackedRows(matrix.out, matrix.in)
      for (const { values, first } of matrixChunks(matrix)) {
        if (block !== undefined) rotate(values, block)
        packRows8(rows, values, first, matrix.in)
      }
      return rows
    },
    (packed) => packed.data,
    (packed) => packed.scales,
  )
  const weight = graph.weight(matrix.name, "int8", [matrix.in, matrix.out], data!)
  const scale = graph.weight(`${matrix.name}.scale`, "float32", [matrix.out], scales!)
  const [step, zero] = [graph.scalar("float32", 1 / 127), graph.scalar("uint8", 128)]
  return (x) => {
    const turned = block === undefined ? x : rotated(x, block)
    // Rows are scaled to ±1 first: the integer product takes one scale for all rows only. A row of zeros divides by
    // zero, and is zero again in the end.
    const largest = reduceMax(absolute(turned), -1)
    const quantized = quantizeLinear(divide(turned, largest), step, zero)
    return multiply(integerMatmul(quantized, weight, step, scale, zero), largest)
  }
}

/** x times a block-diagonal Hadamard matrix. */
function rotated(x: Value, block: number): Value {
  const matrix = x.graph.constant("float32", [block, block], Array.from(hadamard(block)))
  return reshape(fusedMatmul(reshape(x, [-1, block]), matrix, {}), [-1, x.shape.at(-1)!])
}

/**
 * A GGUF's own values: 4- or 8-bit blocks of 32 where such hold them (heldExactly), 8-bit blocks around them elsewhere
 * (off by at most 1/254 of a block's largest value), float32 for tensors that were never blocks.
 */
export const asIsFormat: LinearFormat = (graph, matrix) => {
  const type = matrix.tensors[0]!.type
  if (type === "F32" || type === "F16" || type === "BF16") return float32Format(graph, matrix)
  const held = heldExactly.get(type)
  if (held === undefined || matrix.tensors.some((tensor) => tensor.type !== type))
    return blocksFormat(8, 32)(graph, matrix)
  return blocksLinear(graph, matrix, held.bits, 32, () => packAsIs(type, rawRows(matrix), matrix.out, matrix.in))
}

function rawRows(matrix: Matrix): Uint8Array {
  const parts = matrix.tensors.map((tensor) => matrix.source.raw(tensor.name))
  return parts.length === 1 ? parts[0]! : concatenate(parts, Uint8Array)
}

/** Symmetric 8-bit or affine 4-bit blocks; activations are quantised per block inside the kernel. */
export function blocksFormat(bits: 4 | 8, blockSize: number): LinearFormat {
  return (graph, matrix) =>
    blocksLinear(graph, matrix, bits, blockSize, () => packChunked(matrix, bits, blockSize), bits === 4)
}

function packChunked(matrix: Matrix, bits: 4 | 8, blockSize: number): PackedBlocks {
  const pack = bits === 8 ? packBlocks8 : packBlocks4
  const blocks = Math.ceil(matrix.in / blockSize)
  const rowBytes = (blocks * blockSize * bits) / 8
  const zeroBytes = Math.ceil(blocks / 2)
  const data = new Uint8Array(matrix.out * rowBytes)
  const scales = new Float32Array(matrix.out * blocks)
  const zeroPoints = bits === 4 ? new Uint8Array(matrix.out * zeroBytes) : undefined
  for (const { values, first, rows } of matrixChunks(matrix)) {
    const packed = pack(values, rows, matrix.in, blockSize)
    data.set(packed.data, first * rowBytes)
    scales.set(packed.scales, first * blocks)
    if (packed.zeroPoints) zeroPoints?.set(packed.zeroPoints, first * zeroBytes)
  }
  return { data, scales, ...(zeroPoints ? { zeroPoints } : {}) }
}

function blocksLinear(
  graph: Graph,
  matrix: Matrix,
  bits: 4 | 8,
  blockSize: number,
  pack: () => PackedBlocks,
  affine = false,
): Linear {
  const blocks = Math.ceil(matrix.in / blockSize)
  const [data, scales, zeros] = packOnce<PackedBlocks, ((packed: PackedBlocks) => ArrayBufferView)[]>(
    pack,
    (packed) => packed.data,
    (packed) => packed.scales,
    ...(affine ? [(packed: PackedBlocks) => packed.zeroPoints!] : []),
  )
  const zeroPoints = zeros && graph.weight(`${matrix.name}.zeros`, "uint8", [matrix.out, Math.ceil(blocks / 2)], zeros)
  const weights = {
    data: graph.weight(matrix.name, "uint8", [matrix.out, blocks, (blockSize * bits) / 8], data!),
    scales: graph.weight(`${matrix.name}.scales`, "float32", [matrix.out, blocks], scales!),
    ...(zeroPoints ? { zeroPoints } : {}),
    bits,
    blockSize,
    in: matrix.in,
    out: matrix.out,
  }
  if (bits === 8) return (x) => blockMatmul(x, weights)
  // Without AVX-512, one row alone takes another 4-bit kernel, with other bits: it never runs alone.
  const spare = graph.constant("float32", [1, matrix.in], new Array(matrix.in).fill(0))
  return (x) => withoutLast(blockMatmul(concat([x, spare], 0), weights), 0, x.shape[0]!)
}
