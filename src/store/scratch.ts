/**
 * Reads parts of files into one buffer, again and again: a fresh one each time would cost more than
 * the reading.
 * @module
 */
import { readSync } from "node:fs"
import { PIECE_BYTES_MAX } from "../core/limits.ts"

let scratch: Uint8Array = new Uint8Array(0)

/**
 * Gives the bytes of a part of a file, at most {@link PIECE_BYTES_MAX}; fewer at the file's end.
 * They are valid until the next call.
 */
export function readPart(fd: number, offset: number, lengthBytes: number): Uint8Array {
  if (scratch.length < lengthBytes) scratch = new Uint8Array(Math.min(lengthBytes, PIECE_BYTES_MAX))
  let count = 0
  while (count < lengthBytes) {
    const read = readSync(fd, scratch, count, lengthBytes - count, offset + count)
    if (read === 0) break
    count += read
  }
  return scratch.subarray(0, count)
}
