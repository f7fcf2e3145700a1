/** Writes a graph as an ONNX model (protobuf wire format by @bufbuild/protobuf; field numbers of onnx.proto, IR 10). */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { ForerunError } from "../base/errors.ts"
import type { Graph } from "./graph.ts"
import { onnxType } from "./onnx-type.ts"
import type { AttributeValue, Block, Initializer, Node, Value } from "./value.ts"

/** Smaller initialisers travel inside the protobuf: onnxruntime needs some of them (axes, shapes) when it loads. */
const inlineLimit = 1024
/** External data starts on page boundaries, so that it can be memory-mapped. */
const alignment = 4096

export interface ExternalTensor {
  readonly offset: number
  readonly bytes: number
  readonly initializer: Initializer
}

export interface SerializedModel {
  readonly model: Uint8Array
  /** What belongs into the external file, in order; read and write one at a time. */
  readonly external: readonly ExternalTensor[]
  readonly externalBytes: number
}

/**
 * @param location name of the external data file, as onnxruntime will look it up (beside the model, or in
 *   `externalData`). Above 2 GiB protobuf itself would fail, so weights never travel inside it.
 */
export function serialize(graph: Graph, location: string): SerializedModel {
  const external: ExternalTensor[] = []
  let end = 0
  const tensors: Uint8Array[] = []
  for (const initializer of graph.initializers.values()) {
    if (initializer.bytes <= inlineLimit) {
      tensors.push(tensorProto(initializer, (writer) => bytesField(writer, 9, checked(initializer))))
      continue
    }
    const offset = Math.ceil(end / alignment) * alignment
    end = offset + initializer.bytes
    external.push({ offset, bytes: initializer.bytes, initializer })
    tensors.push(
      tensorProto(initializer, (writer) => {
        for (const [key, value] of [
          ["location", location],
          ["offset", String(offset)],
          ["length", String(initializer.bytes)],
        ] as const)
          message(writer, 13, (entry) => stringField(stringField(entry, 1, key), 2, value))
        intField(writer, 14, 1)
      }),
    )
  }
  const writer = new BinaryWriter()
  intField(writer, 1, 10)
  stringField(writer, 2, "forerun")
  message(writer, 7, (proto) => {
    for (const node of graph.body.nodes) message(proto, 1, (w) => nodeProto(w, node))
    stringField(proto, 2, "forerun")
    for (const tensor of tensors) bytesField(proto, 5, tensor)
    for (const value of graph.inputs) message(proto, 11, (w) => valueInfo(w, value))
    for (const value of graph.outputs) message(proto, 12, (w) => valueInfo(w, value))
    // onnxruntime infers fewer sizes than are known here. What it cannot compare it cannot reuse, and its plan of
    // buffers then takes time with the square of the graph's length.
    for (const value of innerValues(graph, graph.body)) message(proto, 13, (w) => valueInfo(w, value))
  })
  for (const [domain, version] of [
    ["", 21],
    ["com.microsoft", 1],
  ] as const)
    message(writer, 8, (opset) => intField(stringField(opset, 1, domain), 2, version))
  return { model: writer.finish(), external, externalBytes: end }
}

/** The initialiser's bytes, with their length checked against its shape. */
export function checked(initializer: Initializer): Uint8Array {
  const data = initializer.data()
  if (data.byteLength !== initializer.bytes)
    throw new ForerunError(
      "E_GRAPH",
      `${initializer.value.name}: ${initializer.bytes} bytes needed for ${initializer.value.type} [${initializer.value.shape}], got ${data.byteLength}`,
    )
  return data
}

/** All external data in one buffer, for small models that need no file. */
export function externalBuffer(serialized: SerializedModel): Uint8Array {
  const buffer = new Uint8Array(serialized.externalBytes)
  for (const { offset, initializer } of serialized.external) buffer.set(checked(initializer), offset)
  return buffer
}

/** What nodes of a block compute, but for the graph's outputs, which carry their sizes already. */
function innerValues(graph: Graph, block: Block): Value[] {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  return block.nodes.flatMap((node) =>
    node.outputs.filter((name) => !outputs.has(name)).map((name) => graph.values.get(name)!),
  )
}

function nodeProto(writer: BinaryWriter, node: Node): void {
  for (const input of node.inputs) stringField(writer, 1, input)
  for (const output of node.outputs) stringField(writer, 2, output)
  stringField(writer, 3, `${node.outputs[0]}`)
  stringField(writer, 4, node.op)
  for (const [name, value] of Object.entries(node.attributes)) message(writer, 5, (w) => attributeProto(w, name, value))
  if (node.domain) stringField(writer, 7, node.domain)
}

function attributeProto(writer: BinaryWriter, name: string, value: AttributeValue): void {
  stringField(writer, 1, name)
  if (typeof value === "number") {
    intField(writer, 3, value)
    intField(writer, 20, 2)
  } else if (typeof value === "string") {
    stringField(writer, 4, value)
    intField(writer, 20, 3)
  } else if (Array.isArray(value)) {
    for (const item of value) intField(writer, 8, item)
    intField(writer, 20, 7)
  } else if ("float" in value) {
    writer.tag(2, WireType.Bit32).float(value.float)
    intField(writer, 20, 1)
  } else {
    message(writer, 6, (graph) => {
      const block = value as Block
      for (const node of block.nodes) message(graph, 1, (w) => nodeProto(w, node))
      stringField(graph, 2, name)
      for (const output of block.outputs) message(graph, 12, (w) => valueInfo(w, output))
    })
    intField(writer, 20, 5)
  }
}

function tensorProto(initializer: Initializer, payload: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter()
  for (const dim of initializer.value.shape) intField(writer, 1, Number(dim))
  intField(writer, 2, onnxType[initializer.value.type])
  stringField(writer, 8, initializer.value.name)
  payload(writer)
  return writer.finish()
}

function valueInfo(writer: BinaryWriter, value: Value): void {
  stringField(writer, 1, value.name)
  message(writer, 2, (type) =>
    message(type, 1, (tensor) => {
      intField(tensor, 1, onnxType[value.type])
      message(tensor, 2, (shape) => {
        for (const dim of value.shape)
          message(shape, 1, (w) => (typeof dim === "number" ? intField(w, 1, dim) : stringField(w, 2, dim)))
      })
    }),
  )
}

function message(writer: BinaryWriter, field: number, fill: (writer: BinaryWriter) => unknown): BinaryWriter {
  writer.tag(field, WireType.LengthDelimited).fork()
  fill(writer)
  return writer.join()
}
const intField = (writer: BinaryWriter, field: number, value: number) => writer.tag(field, WireType.Varint).int64(value)
const stringField = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value)
const bytesField = (writer: BinaryWriter, field: number, value: Uint8Array) =>
  writer.tag(field, WireType.LengthDelimited).bytes(value)
