/**
 * Who reads which part of a blob from the origin: all nodes come to the same answer without a word
 * (protocol/origin-election.md).
 * @module
 */
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import { lengthPrefixed, uint32 } from "../core/length-prefix.ts"
import { type ByteRange, type PieceLayout, piecesOf } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"

const MIB = 1024 * 1024
/** One fetcher is elected for a segment: the shortest, and the longest. */
export const SEGMENT_BYTES_MIN: number = MIB
export const SEGMENT_BYTES_MAX: number = 64 * MIB
/** Segments are longer while a blob has more of them than this. */
const SEGMENTS_WANTED_MAX = 32

const ELECTION_LABEL = "sealift/election/v1"

/**
 * Gives the length of a blob's segments: so many that all nodes read a part of it, and no more. A
 * multiple of its piece length.
 */
export function segmentLength(sizeBytes: number): number {
  let lengthBytes = SEGMENT_BYTES_MIN
  while (lengthBytes < SEGMENT_BYTES_MAX && sizeBytes > lengthBytes * SEGMENTS_WANTED_MAX) {
    lengthBytes *= 2
  }
  return lengthBytes
}

/** Gives how many segments a blob has; one of no bytes has one, which is empty. */
export function segmentCount(
  sizeBytes: number,
  segmentBytes: number = segmentLength(sizeBytes),
): number {
  return Math.max(1, Math.ceil(sizeBytes / segmentBytes))
}

/** Gives the half-open range of piece indexes of a segment. */
export function segmentPieces(
  layout: PieceLayout,
  segment: number,
  segmentBytes: number = segmentLength(layout.sizeBytes),
): ByteRange {
  const start = Math.min(segment * segmentBytes, layout.sizeBytes)
  return piecesOf(layout, { start, end: Math.min(start + segmentBytes, layout.sizeBytes) })
}

/** Gives the segment that a piece belongs to. */
export function segmentOf(
  layout: PieceLayout,
  piece: number,
  segmentBytes: number = segmentLength(layout.sizeBytes),
): number {
  return Math.floor((piece * layout.lengthBytes) / segmentBytes)
}

/** Gives a peer's score for a segment, 32 bytes (protocol/origin-election.md, Format). */
export function electionScore(digest: Digest, segment: number, peer: PeerId): Uint8Array {
  return sha256(lengthPrefixed(ELECTION_LABEL, rawOf(digest), uint32(segment), peer))
}

/**
 * Gives the peers in the order in which they are to fetch a segment: by falling score, which is
 * compared byte by byte. Rendezvous hashing: a peer that comes or goes moves nobody else.
 */
export function rankFetchers(
  digest: Digest,
  segment: number,
  peers: Iterable<PeerId>,
): readonly PeerId[] {
  const scored = [...new Set(peers)].map((peer) => ({
    peer,
    score: electionScore(digest, segment, peer),
  }))
  return scored.sort((a, b) => Buffer.compare(b.score, a.score)).map(({ peer }) => peer)
}
