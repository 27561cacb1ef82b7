/**
 * Reads and writes at a place of a file, all of it, and waits: for the threads that do nothing else.
 * @module
 */
import { readSync, writeSync } from "node:fs"

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

/** Writes all the bytes from `at` on. */
export function writeFully(fd: number, bytes: Uint8Array, at: number): void {
  let count = 0
  while (count < bytes.length) {
    count += writeSync(fd, bytes, count, bytes.length - count, at + count)
  }
}
