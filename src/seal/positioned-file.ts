/**
 * Reads and writes at a place of a file, all of it, and waits: for the threads that do nothing else.
 * @module
 */
import { readSync, writeSync, writevSync } from "node:fs"

/**
 * Fills `target` with the bytes from `at` on.
 * @returns how many there were; fewer than the target takes only at the end of the file
 */
export function readFully(fd: number, target: Uint8Array, at: number): number {
  let count = 0
  while (count < target.length) {
    const read = readSync(fd, target, count, target.length - count, at + count)
    if (read === 0) break
    count += read
  }
  return count
}

/** Writes all the bytes of all the parts, one after the other, from `at` on. */
export function writeFully(fd: number, parts: readonly Uint8Array[], at: number): void {
  let written = writevSync(fd, parts, at)
  let partAt = at
  for (const part of parts) {
    // A disk may take less than all at once; the rest of each part goes by itself.
    for (let count = Math.min(written, part.length); count < part.length; ) {
      count += writeSync(fd, part, count, part.length - count, partAt + count)
    }
    written = Math.max(0, written - part.length)
    partAt += part.length
  }
}
