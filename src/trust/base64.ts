/**
 * Base64 as DSSE lets it be: any of its four forms is read, each value in one way only
 * (protocol/envelope.md §4).
 * @module
 */

/**
 * Reads base64, standard or URL-safe, padded or not.
 * @returns undefined when it is something else: stray bits, white space, both alphabets at once
 */
export function parseBase64(text: string): Uint8Array | undefined {
  // Node skips what it does not know, so what was read is written again and must be the same.
  const bytes = Buffer.from(text, "base64")
  const padding = "=".repeat((3 - (bytes.length % 3)) % 3)
  const forms = [bytes.toString("base64"), bytes.toString("base64url") + padding]
  const isCanonical = forms.some((form) => text === form || text + padding === form)
  return isCanonical ? new Uint8Array(bytes) : undefined
}
