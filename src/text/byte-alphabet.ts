/** GPT-2's byte alphabet: one printable character for each of the 256 bytes, so that any bytes can be spelt in a vocabulary. */

/** Bytes that stand for themselves; the other 68 take the characters from U+0100 on, in order. */
const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

const characterToByte = new Map<string, number>()
const byteToCharacter: string[] = []
for (let byte = 0, next = 0x100; byte < 256; byte++) {
  const character = String.fromCharCode(isPrintable(byte) ? byte : next++)
  characterToByte.set(character, byte)
  byteToCharacter.push(character)
}

/** The bytes a vocabulary entry spells, or undefined when it holds a character outside the alphabet. */
export function bytesOfSpelling(spelling: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelling.length)
  for (let i = 0; i < spelling.length; i++) {
    const byte = characterToByte.get(spelling[i]!)
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes
}

export const spellBytes = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byteToCharacter[byte]).join("")
