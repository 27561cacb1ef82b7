/**
 * Where the hashes and entries of a log lie: tiles of 256, as in C2SP tlog-tiles
 * (protocol/audit-log.md §4).
 * @module
 */
import { assert } from "../core/errors.ts"

/** Entries in a full bundle, and hashes in a full tile. */
export const TILE_WIDTH = 256
/** Levels of the tree from one level of tiles to the next. */
export const TILE_HEIGHT = 8
export const HASH_BYTES = 32

/** Gives the name of a tile of hashes, whole or as far as it goes: `tile/0/x001/234`. */
export function tileName(level: number, index: number): string {
  return `tile/${level}/${indexPath(index)}`
}

/** Gives the name of a bundle of entries: `tile/entries/x001/234`. */
export function bundleName(index: number): string {
  return `tile/entries/${indexPath(index)}`
}

/** Three digits to a folder, all but the last with an `x` (tlog-tiles, "Merkle tree"). */
function indexPath(index: number): string {
  assert(Number.isSafeInteger(index) && index >= 0, "a tile's place")
  const parts = [String(index % 1_000).padStart(3, "0")]
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    parts.unshift(`x${String(rest % 1_000).padStart(3, "0")}`)
  }
  return parts.join("/")
}

/** How many hashes a tile has in a log of some size; 0: it is not there. */
export function widthOfTile(level: number, index: number, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level)
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH))
}
