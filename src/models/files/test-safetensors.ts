/** Writes safetensors files and folders for tests; not part of the package. */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { WeightSource } from "../weights.ts"

export interface TestEntry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** An honest file. */
export function writeSafetensors(entries: readonly TestEntry[]): Buffer {
  let offset = 0
  const header = Object.fromEntries(
    entries.map(({ name, dtype, shape, data }) => {
      const data_offsets = [offset, offset + data.length]
      offset += data.length
      return [name, { dtype, shape, data_offsets }]
    }),
  )
  return withHeader(
    JSON.stringify(header),
    entries.map(({ data }) => data),
  )
}

/** Any header in front of any data. */
export function withHeader(header: string, data: readonly Uint8Array[], length?: bigint): Buffer {
  const bytes = Buffer.from(header)
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(bytes.length))
  return Buffer.concat([size, bytes, ...data])
}

/** The same weights in so many shards with an index. @returns the folder */
export function splitFolder(weights: WeightSource, config: object, scratch: string, shards: number): string {
  const folder = join(scratch, `shards-${shards}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "config.json"), JSON.stringify(config))
  const map: Record<string, string> = {}
  const tensors = [...weights.tensors.values()]
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-0000${shard + 1}-of-0000${shards}.safetensors`
    const own = tensors.filter((_, index) => index % shards === shard)
    for (const { name } of own) map[name] = file
    const entries = own.map(({ name, type, shape }) => ({ name, dtype: type, shape, data: weights.raw(name) }))
    writeFileSync(join(folder, file), writeSafetensors(entries))
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }))
  return folder
}
