/**
 * Pieces: how a blob is cut (protocol/metainfo.md). A pure function of the blob's size, so that equal
 * blobs are cut equally everywhere.
 * @module
 */
import { assert } from "./errors.ts"
import { BLOB_BYTES_MAX, PIECE_BYTES_MAX, PIECE_BYTES_MIN } from "./limits.ts"

/** The piece length doubles while a blob has more pieces than this. */
const PIECES_WANTED_MAX = 1024

/** The half-open byte range `start … end-1`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** How one blob is cut. All pieces are `lengthBytes` long but the last, which may be shorter. */
export interface PieceLayout {
  readonly sizeBytes: number
  readonly lengthBytes: number
  readonly count: number
}

/**
 * Gives the layout of a blob: 256 KiB, doubled up to 4 MiB while there are more than 1,024 pieces.
 * A blob of no bytes has no piece.
 */
export function pieceLayout(sizeBytes: number): PieceLayout {
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `blob size ${sizeBytes}`)
  assert(sizeBytes <= BLOB_BYTES_MAX, `blob size ${sizeBytes} over the limit`)
  let lengthBytes = PIECE_BYTES_MIN
  while (lengthBytes < PIECE_BYTES_MAX && sizeBytes > lengthBytes * PIECES_WANTED_MAX) {
    lengthBytes *= 2
  }
  return { sizeBytes, lengthBytes, count: Math.ceil(sizeBytes / lengthBytes) }
}

/** Gives the bytes of the blob that piece `index` holds. */
export function pieceRange(layout: PieceLayout, index: number): ByteRange {
  assert(index >= 0 && index < layout.count, `piece ${index} of ${layout.count}`)
  const start = index * layout.lengthBytes
  return { start, end: Math.min(start + layout.lengthBytes, layout.sizeBytes) }
}

/** Gives the half-open range of piece indexes that a non-empty byte range touches. */
export function piecesOf(layout: PieceLayout, range: ByteRange): ByteRange {
  if (range.end <= range.start) return { start: 0, end: 0 }
  return {
    start: Math.floor(range.start / layout.lengthBytes),
    end: Math.floor((range.end - 1) / layout.lengthBytes) + 1,
  }
}
