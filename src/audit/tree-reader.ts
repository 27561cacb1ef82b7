/**
 * Proofs from a log's tiles: each reads a few tiles, however long the log is
 * (RFC 6962 §2.1; protocol/audit-log.md §5).
 * @module
 */
import { assert } from "../core/errors.ts"
import { TILE_HEIGHT } from "./log-tile.ts"
import { isPowerOfTwo, nodeHash, splitOf, treeRoot } from "./merkle-tree.ts"

/** Gives hashes of a tile: `count` of them from a place in a level of tiles on, all in one tile. */
export type ReadHashes = (place: {
  readonly level: number
  readonly start: number
  readonly count: number
}) => Promise<readonly Uint8Array[]>

/** Proves that an entry is in the list of the first ones. @returns hashes as in RFC 6962 §2.1.1 */
export async function proveInclusion(
  read: ReadHashes,
  { index, size }: { readonly index: number; readonly size: number },
): Promise<readonly Uint8Array[]> {
  assert(index >= 0 && index < size, "an entry of the list")
  const proof: Uint8Array[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const split = start + splitOf(end - start)
    if (index < split) {
      proof.unshift(await rangeHash(read, split, end))
      end = split
    } else {
      proof.unshift(await rangeHash(read, start, split))
      start = split
    }
  }
  return proof
}

/** Proves that the list of the first entries begins with a shorter one (RFC 6962 §2.1.2). */
export async function proveConsistency(
  read: ReadHashes,
  { older, size }: { readonly older: number; readonly size: number },
): Promise<readonly Uint8Array[]> {
  assert(older >= 1 && older <= size, "a part of the list")
  const proof: Uint8Array[] = []
  let [start, end, isWhole] = [0, size, true]
  while (older !== end) {
    const split = start + splitOf(end - start)
    if (older <= split) {
      proof.unshift(await rangeHash(read, split, end))
      end = split
    } else {
      proof.unshift(await rangeHash(read, start, split))
      start = split
      isWhole = false
    }
  }
  return isWhole ? proof : [await rangeHash(read, start, end), ...proof]
}

/** Gives the root of the list of the first entries. */
export async function readRoot(read: ReadHashes, size: number): Promise<Uint8Array> {
  return size === 0 ? treeRoot([]) : await rangeHash(read, 0, size)
}

/** Gives the root of the entries from one to another, as a part of the tree. */
async function rangeHash(read: ReadHashes, start: number, end: number): Promise<Uint8Array> {
  const count = end - start
  if (isPowerOfTwo(count) && start % count === 0) return await nodeAt(read, start, count)
  const split = start + splitOf(count)
  const left = await rangeHash(read, start, split)
  return nodeHash(left, await rangeHash(read, split, end))
}

/** Gives the root of a whole subtree from the tile that has its lowest stored level. */
async function nodeAt(read: ReadHashes, start: number, count: number): Promise<Uint8Array> {
  const level = Math.floor(Math.log2(count) / TILE_HEIGHT)
  const unit = 2 ** (TILE_HEIGHT * level)
  return treeRoot(await read({ level, start: start / unit, count: count / unit }))
}
