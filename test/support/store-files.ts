/**
 * Damage to a node's store, done from outside to the files on its disk.
 * @module
 */
import { open, readdir } from "node:fs/promises"
import { join } from "node:path"

const FLIP_EVERY_BYTES = 1_000_003

/** Finds the file of a blob below the data directory of a node. */
export async function blobFile(data: string, digest: string): Promise<string | undefined> {
  const hex = digest.slice("sha256:".length)
  const paths = await readdir(join(data, "blobs"), { recursive: true })
  const path = paths.find((name) => name.replaceAll("/", "").includes(hex) || name.endsWith(hex))
  return path === undefined ? undefined : join(data, "blobs", path)
}

/** Flips one bit in the first byte and then every megabyte or so; gives how many. */
export async function flipBits(data: string, digest: string): Promise<number> {
  const path = await blobFile(data, digest)
  if (path === undefined) throw new Error(`${data} holds no file of ${digest}`)
  await using file = await open(path, "r+")
  const { size } = await file.stat()
  let count = 0
  for (let offset = 0; offset < size; offset += FLIP_EVERY_BYTES) {
    const { buffer } = await file.read(new Uint8Array(1), 0, 1, offset)
    await file.write(Uint8Array.of(buffer[0]! ^ 0x10), 0, 1, offset)
    count++
  }
  await file.sync()
  return count
}
