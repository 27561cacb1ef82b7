/**
 * LP: parts with their lengths before them, so that what is signed or hashed reads in one way only.
 * @module
 */

/** Joins parts, each after its length as an unsigned 32-bit big-endian number; texts are UTF-8. */
export function lengthPrefixed(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const pieces: Uint8Array[] = []
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    pieces.push(length, bytes)
  }
  return Buffer.concat(pieces)
}

/** Gives an unsigned 32-bit big-endian number. */
export function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Gives an unsigned 64-bit big-endian number. */
export function uint64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
