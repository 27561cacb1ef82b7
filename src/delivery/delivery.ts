/**
 * The only road by which bytes enter: local → peers → origin (docs/architecture.md, A pull).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { ByteRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobStat } from "../store/store.ts"
import type { OriginRef } from "./origin.ts"

/** A wish for a blob, or a part of it. */
export interface BlobRequest {
  readonly digest: Digest
  /** From the descriptor that named the blob, when there was one. */
  readonly sizeBytes?: number
  /** Where its origin is. Left out for content that was pushed to the fleet. */
  readonly origin?: OriginRef
}

/** A part asked for, before the blob's size is known. `end` left out: to the end (open-ended). */
export interface RangeRequest {
  readonly start: number
  readonly end?: number
}

/**
 * Verified bytes on their way to a client, in order. The last piece of an unproved blob comes only
 * when the digest of the whole is right; otherwise the iteration throws `BLOB_MISMATCH`.
 */
export interface BlobStream {
  readonly sizeBytes: number
  readonly range: ByteRange
  readonly body: AsyncIterable<Uint8Array>
}

/** How far a blob is, for progress bars. */
export interface FlightReport {
  readonly digest: Digest
  readonly sizeBytes: number | undefined
  readonly haveBytes: number
  readonly fromPeersBytes: number
  readonly fromOriginBytes: number
  readonly sources: readonly { peer: PeerId; receivedBytes: number }[]
  readonly state: "looking" | "fetching" | "complete" | "failed"
}

/** Bytes by digest, from wherever they are. */
export interface Delivery {
  /**
   * Opens a stream; resolves once the size is known and the first bytes can come.
   * @param options.isLent - each chunk of the body is the reader's only until it asks for the next one:
   * its memory is then used again
   * @throws DeliveryError, OriginError (when the origin's answer is the reason), StoreError
   */
  open(
    request: BlobRequest,
    options: { range?: RangeRequest; isLent?: boolean; signal: AbortSignal },
  ): Promise<BlobStream>
  /** Brings a blob here, whole and verified. */
  ensure(
    request: BlobRequest,
    options: { signal: AbortSignal; onProgress?: (report: FlightReport) => void },
  ): Promise<BlobStat>
  /** Tells the size of a blob without fetching it: local, peers, origin. Undefined: nobody has it. */
  size(request: BlobRequest, options: { signal: AbortSignal }): Promise<number | undefined>
  /** Tells whether a blob is here or at a connected peer. */
  isAtHand(digest: Digest): boolean
  /**
   * Tells which blobs are here or at a connected peer; peers are asked for those of which they told
   * nothing, which takes a second at most.
   */
  findAtHand(
    digests: readonly Digest[],
    options: { signal: AbortSignal },
  ): Promise<ReadonlySet<Digest>>
  flights(): readonly FlightReport[]
  /** Lets running flights that a client waits for end, within the deadline; then stops all. */
  stop(options: { deadlineMs: number }): Promise<void>
}
