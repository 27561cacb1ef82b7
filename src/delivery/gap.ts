/**
 * Which missing pieces an origin is asked for next, in one request.
 * @module
 */
import type { ByteRange, PieceLayout } from "../core/piece.ts"
import { segmentOf, segmentPieces } from "./election.ts"

/** Pieces that are here already are read again rather than asked around when they are so few. */
export const GAP_BYTES_MAX: number = 256 * 1024

/** The pieces of a blob as one look sees them. */
export interface GapView {
  readonly layout: PieceLayout
  /** As long as the blob's size gives when left out. */
  readonly segmentBytes: number | undefined
  /** Segments that this node reads. */
  readonly mine: ReadonlySet<number>
  has(index: number): boolean
  /** Whether a stream that runs will bring it, or has just brought it. */
  isCovered(index: number): boolean
}

/**
 * Gives the next missing pieces in this node's segments, from the reader's piece onwards and then
 * from the beginning; undefined when there is none.
 */
export function nextRun(view: GapView, reader: number): ByteRange | undefined {
  const { layout, segmentBytes } = view
  const at = segmentOf(layout, Math.min(reader, layout.count - 1), segmentBytes)
  const ahead = [...view.mine].sort((a, b) => a - b)
  const ordered = [...ahead.filter((s) => s >= at), ...ahead.filter((s) => s < at)]
  for (const segment of ordered) {
    const pieces = segmentPieces(layout, segment, segmentBytes)
    const from = segment === at ? Math.max(reader, pieces.start) : pieces.start
    const start =
      firstMissing(view, { start: from, end: pieces.end }) ??
      firstMissing(view, { start: pieces.start, end: from })
    if (start !== undefined) return { start, end: runEnd(view, start) }
  }
  return undefined
}

/** Gives where a run ends: at what is not ours, is covered, or is here for longer than a gap. */
function runEnd(view: GapView, start: number): number {
  const { layout, segmentBytes, mine } = view
  const gapPieces = Math.floor(GAP_BYTES_MAX / layout.lengthBytes)
  let end = start + 1
  for (let index = end; index < layout.count && index - end <= gapPieces; index++) {
    if (!mine.has(segmentOf(layout, index, segmentBytes)) || view.isCovered(index)) break
    if (!view.has(index)) end = index + 1
  }
  return end
}

function firstMissing(view: GapView, pieces: ByteRange): number | undefined {
  for (let index = pieces.start; index < pieces.end; index++) {
    if (!view.has(index) && !view.isCovered(index)) return index
  }
  return undefined
}
