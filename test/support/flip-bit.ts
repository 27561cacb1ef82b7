/** Damages files as a bad disk does. */
import { closeSync, openSync, readSync, writeSync } from "node:fs"

/** Flips the lowest bit of one byte of a file, in place. */
export function flipBitOf(path: string, offset: number): void {
  const fd = openSync(path, "r+")
  try {
    const byte = new Uint8Array(1)
    readSync(fd, byte, 0, 1, offset)
    byte[0]! ^= 1
    writeSync(fd, byte, 0, 1, offset)
  } finally {
    closeSync(fd)
  }
}
