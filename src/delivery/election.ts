/**
 * Who reads which part of a blob from the origin: all nodes come to the same answer without a word
 * (protocol/origin-election.md).
 * @module
 */
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import { type ByteRange, type PieceLayout, piecesOf } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import { lengthPrefixed, uint32 } from "../swarm/length-prefix.ts"

/** One fetcher is elected for this much of a blob. A multiple of every piece length. */
export const SEGMENT_BYTES: number = 64 * 1024 * 1024

const ELECTION_LABEL = "sealift/election/v1"

/** Gives how many segments a blob has; one of no bytes has one, which is empty. */
export function segmentCount(sizeBytes: number, segmentBytes: number = SEGMENT_BYTES): number {
  return Math.max(1, Math.ceil(sizeBytes / segmentBytes))
}

/** Gives the half-open range of piece indexes of a segment. */
export function segmentPieces(
  layout: PieceLayout,
  segment: number,
  segmentBytes: number = SEGMENT_BYTES,
): ByteRange {
  const start = segment * segmentBytes
  return piecesOf(layout, { start, end: Math.min(start + segmentBytes, layout.sizeBytes) })
}

/** Gives the segment that a piece belongs to. */
export function segmentOf(
  layout: PieceLayout,
  piece: number,
  segmentBytes: number = SEGMENT_BYTES,
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
