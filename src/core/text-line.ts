/**
 * Lines that are shown to people: without control characters, and without those that turn the direction
 * of text.
 * @module
 */

const NOT_SHOWN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu
const CUT = "…"

/** Tells whether a text is one line of at most so many bytes of UTF-8; it may be empty. */
export function isLine(text: string, bytesMax: number): boolean {
  const isShort = Buffer.byteLength(text) <= bytesMax
  return isShort && text.isWellFormed() && text.search(NOT_SHOWN) < 0
}

/** Makes such a line of any text; of a long one the end, which says most of an error. */
export function toLine(text: string, bytesMax: number): string {
  const line = text.toWellFormed().replace(NOT_SHOWN, " ").trim()
  if (Buffer.byteLength(line) <= bytesMax) return line
  const bytes = Buffer.from(line).subarray(Buffer.byteLength(CUT) - bytesMax)
  // A character begins with a byte that continues none.
  const start = bytes.findIndex((byte) => (byte & 0xc0) !== 0x80)
  return `${CUT}${bytes.toString("utf8", start)}`
}
