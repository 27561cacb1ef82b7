/**
 * What every reader checks before it touches bytes.
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import { assert } from "../core/errors.ts"
import { type ByteRange, type PieceLayout, piecesOf } from "../core/piece.ts"

/** Longest range of one read. */
export const READ_BYTES_MAX: number = 4 * 1024 * 1024

/** Tells whether all pieces that a range touches are there; false beyond the blob's end. */
export function holdsRange(layout: PieceLayout, pieces: Bitfield, range: ByteRange): boolean {
  if (range.start < 0 || range.end > layout.sizeBytes) return false
  const { start, end } = piecesOf(layout, range)
  for (let index = start; index < end; index++) if (!pieces.has(index)) return false
  return true
}

/** Checks that a range is one that a caller may read. */
export function assertReadable(layout: PieceLayout, range: ByteRange): void {
  const { start, end } = range
  const isInside = start >= 0 && start < end && end <= layout.sizeBytes
  assert(isInside, `range ${start}–${end} of ${layout.sizeBytes} bytes`)
  assert(end - start <= READ_BYTES_MAX, `a read of ${end - start} bytes`)
}
