/**
 * Those who wait for a flight, and which of them is served first.
 * @module
 */
import { type ByteRange, type PieceLayout, pieceRange } from "../core/piece.ts"

/** Pieces that a reader is given before all others; or this part of a large blob … */
const WINDOW_PIECES = 8
const WINDOW_PART = 1 / 8
/** … but never more. */
const WINDOW_PIECES_MAX = 64

/** Somebody who waits for a flight. */
export interface Interest {
  /** The byte that is read next; undefined: all, in any order. */
  positionBytes: number | undefined
  /** The size that was believed when the range was worked out; undefined before. */
  sizeBytes: number | undefined
  /** Whether the client has got its answer's beginning: then an error breaks the stream. */
  hasBegun: boolean
  /** Whether bytes that no digest proves yet went to the client. */
  hasUnproved: boolean
  /** Since when it waits for bytes; undefined while it is busy with what it has. */
  waitingSinceMs: number | undefined
  fault: { readonly error: unknown } | undefined
}

/** @param positionBytes - where a reader begins; undefined for one who wants all */
export function newInterest(positionBytes: number | undefined): Interest {
  return {
    positionBytes,
    sizeBytes: undefined,
    hasBegun: false,
    hasUnproved: false,
    waitingSinceMs: undefined,
    fault: undefined,
  }
}

/** Gives the reader that has waited longest, else the one that is least far. */
export function readerInFront(interests: Iterable<Interest>): Interest | undefined {
  let front: Interest | undefined
  for (const interest of interests) {
    if (interest.positionBytes === undefined) continue
    if (front === undefined || isBefore(interest, front)) front = interest
  }
  return front
}

function isBefore(a: Interest, b: Interest): boolean {
  const aSince = a.waitingSinceMs ?? Number.POSITIVE_INFINITY
  const bSince = b.waitingSinceMs ?? Number.POSITIVE_INFINITY
  if (aSince !== bSince) return aSince < bSince
  return (a.positionBytes ?? 0) < (b.positionBytes ?? 0)
}

/** Gives the bytes that the swarm brings first to a reader at a piece. */
export function windowFrom(layout: PieceLayout, piece: number): ByteRange {
  const part = Math.min(Math.ceil(layout.count * WINDOW_PART), WINDOW_PIECES_MAX)
  const last = Math.min(piece + Math.max(part, WINDOW_PIECES), layout.count) - 1
  return { start: pieceRange(layout, piece).start, end: pieceRange(layout, last).end }
}
