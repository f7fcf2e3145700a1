/** Tensors in memory as weights of a checkpoint, so that they can be held in its formats. */
import type { PartTensor } from "./trained-part.ts"
import type { TensorInfo, WeightSource } from "./weights.ts"

export function memorySource(tensors: ReadonlyMap<string, PartTensor>): WeightSource {
  const infos = [...tensors].map(([name, { shape, values }]): [string, TensorInfo] => [
    name,
    { name, shape, type: "F32", bytes: values.byteLength },
  ])
  const values = (name: string) => tensors.get(name)!.values
  return {
    tensors: new Map(infos),
    raw(name) {
      const { buffer, byteOffset, byteLength } = values(name)
      return new Uint8Array(buffer, byteOffset, byteLength)
    },
    float32: (name) => values(name).slice(),
    close() {},
  }
}
