/**
 * The end of what a program printed or a server answered, for people to read: short, one line, and
 * harmless on a terminal.
 * @module
 */

/** Longest reason of a failure, with the tail of the output, in bytes. */
export const REASON_BYTES_MAX = 2_048

// Bytes that a character may lose at the cut, beyond what a reason has room for.
const KEPT_BYTES_MAX: number = REASON_BYTES_MAX + 4
const LINE_END = /\s*[\r\n\u2028\u2029]\s*/gu
const NOT_SHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu
const REPLACEMENT = "\ufffd"

/** Keeps the last bytes of a stream of any length. */
export class OutputTail {
  #kept: Uint8Array = new Uint8Array(0)

  push(part: Uint8Array): void {
    const all = part.length >= KEPT_BYTES_MAX ? part : Buffer.concat([this.#kept, part])
    // A copy, so that what is cut off is not kept alive by it.
    this.#kept = Uint8Array.from(all.subarray(Math.max(0, all.length - KEPT_BYTES_MAX)))
  }

  /** Gives it as one line; control characters and those that do not show are replaced. */
  text(): string {
    return harmlessLine(new TextDecoder().decode(this.#kept))
  }
}

/** Writes a text as one line on which nothing acts on a terminal. */
export function harmlessLine(text: string): string {
  return text.trim().replace(LINE_END, " | ").replace(NOT_SHOWN, REPLACEMENT)
}

/** Puts what failed before the tail of its output, which is cut in front: 2,048 bytes at most. */
export function reasonWith(what: string, tail: string): string {
  const head = tail === "" ? what : `${what}: `
  const room = REASON_BYTES_MAX - Buffer.byteLength(head)
  if (tail === "" || room <= 0) return firstBytes(head)
  return head + lastBytes(tail, room)
}

function firstBytes(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= REASON_BYTES_MAX) return text
  let end = REASON_BYTES_MAX
  while (isInsideCharacter(bytes[end])) end--
  return bytes.toString("utf8", 0, end)
}

function lastBytes(text: string, room: number): string {
  const bytes = Buffer.from(text)
  let start = Math.max(0, bytes.length - room)
  while (isInsideCharacter(bytes[start])) start++
  return bytes.toString("utf8", start)
}

/** Bytes after the first one of a character begin with the bits 10 (RFC 3629 §3). */
function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
