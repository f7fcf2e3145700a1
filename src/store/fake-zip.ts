/** For tests: writes a zip file, with room for lies. */
import { crc32, deflateRawSync } from "node:zlib"

export type FakeEntry = {
  name: string
  bytes: Buffer
  stored?: boolean
  crc?: number
  size?: number
  flags?: number
  method?: number
  offset?: number
}

export function makeZip(entries: readonly FakeEntry[]): Buffer {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, bytes, stored = false, ...lies } of entries) {
    const data = stored ? bytes : deflateRawSync(bytes)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(lies.flags ?? 0, 2)
    fields.writeUInt16LE(lies.method ?? (stored ? 0 : 8), 4)
    fields.writeUInt32LE(lies.crc ?? crc32(bytes), 10)
    fields.writeUInt32LE(data.length, 14)
    fields.writeUInt32LE(lies.size ?? bytes.length, 18)
    fields.writeUInt16LE(name.length, 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(lies.offset ?? at, 10)
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, Buffer.from(name), data])
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), fields, rest, Buffer.from(name)]))
    bodies.push(local)
    at += local.length
  }
  const length = directory.reduce((sum, { length }) => sum + length, 0)
  const end = Buffer.alloc(22)
  end.write("PK\x05\x06")
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...bodies, ...directory, end])
}
