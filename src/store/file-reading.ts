/**
 * Positioned reads and writes that go on until all is done.
 * @module
 */
import { read, readv, write } from "node:fs"

/** Fills `targets` from `position` on. @returns the bytes read: fewer only at the end of the file */
export async function readFully(
  fd: number,
  targets: readonly Uint8Array[],
  position: number,
): Promise<number> {
  let rest = targets
  let count = 0
  for (;;) {
    const got = await readSome(fd, rest, position + count)
    count += got
    rest = after(rest, got)
    if (got === 0 || rest.length === 0) return count
  }
}

/** Writes all of `bytes` at `position`. */
export async function writeFully(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let count = 0
  while (count < bytes.length) count += await writeSome(fd, bytes, count, position + count)
}

function readSome(fd: number, targets: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, count: number) => (error ? reject(error) : resolve(count))
    const only = targets[0]
    if (targets.length !== 1 || only === undefined) return readv(fd, [...targets], position, done)
    read(fd, only, 0, only.length, position, done)
  })
}

function writeSome(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, offset, bytes.length - offset, position, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}

/** Gives what is left of `targets` after their first `count` bytes; no empty ones. */
function after(targets: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count
  const rest: Uint8Array[] = []
  for (const target of targets) {
    if (skip < target.length) rest.push(skip === 0 ? target : target.subarray(skip))
    skip = Math.max(0, skip - target.length)
  }
  return rest
}
