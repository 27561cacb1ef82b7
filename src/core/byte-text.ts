/**
 * Bytes as texts that have one form each: lower-case hex digits, and padded base64 (RFC 4648 §4).
 * @module
 */

/** Writes bytes as lower-case hex digits: digests and public keys. */
export function encodeHex(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("hex")
}

/** Reads lower-case hex digits. @returns undefined when the text is something else */
export function parseHex(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Buffer.from(text, "hex"))
  return encodeHex(bytes) === text ? bytes : undefined
}

/** Writes bytes as base64, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("base64")
}

/** Reads padded base64. @returns undefined when the text is something else, or has stray bits */
export function parseBase64(text: string): Uint8Array | undefined {
  // Node skips what it does not know, so what was read is written again and must be the same.
  const bytes = new Uint8Array(Buffer.from(text, "base64"))
  return encodeBase64(bytes) === text ? bytes : undefined
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
