/**
 * The port to the swarm: who has a blob, and fetching it from many peers at once on the BitTorrent
 * wire (adapter: `engine.ts`). Serving is its own business: it answers whoever may fetch.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { ByteRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { PartialBlob } from "../store/store.ts"

/** A peer that has a blob, or a part of it. */
export interface Holder {
  readonly peer: PeerId
  readonly isComplete: boolean
  /** Size of the blob as that peer tells it. Believe it only as far as the digest proves it. */
  readonly sizeBytes: number
  /** True for a standard client: it gives bytes, and takes no part in anything else. */
  readonly isPlain?: boolean
}

/** What one source has given to a torrent so far. */
export interface SourceReport {
  readonly peer: PeerId
  readonly receivedBytes: number
  readonly isComplete: boolean
  readonly rejectedPieces: number
}

/** A blob on its way in. Other sources (the origin) may write pieces of the same blob meanwhile. */
export interface Torrent {
  readonly blob: PartialBlob
  /** What a waiting client reads next; fetched before anything else, in order. */
  setWindow(range: ByteRange | undefined): void
  /**
   * Pieces that somebody else (the origin reader) is fetching: not asked of peers that lack a proof of
   * progress, except in the endgame.
   */
  reserve(pieces: ByteRange): () => void
  /**
   * Whether pieces are asked of peers at all; true at first. A node that only reads from the origin
   * for others asks none: it serves and announces what it writes, and no more.
   */
  setFetching(isFetching: boolean): void
  /**
   * Announces a piece that this node's own origin reader wrote: its SHA-256 joins the live piece list
   * that this node signs (protocol/live-piece-list.md), and peers are told `have`.
   */
  announcePiece(index: number): void
  sources(): readonly SourceReport[]
  /** Peers connected for this blob that have a piece which is missing here. */
  usefulSourceCount(): number
  /** Whether a peer has something missing here and lets this node wait for its turn. */
  readonly isQueued: boolean
  /** Bytes of verified pieces received from peers, and bytes thrown away. */
  readonly receivedBytes: number
  readonly wastedBytes: number
  /** Milliseconds since the last verified piece or block, by the clock's monotonic time. */
  lastProgressMs(): number
  /** Called when a peer appears that has something missing here. */
  onUseful(listener: () => void): () => void
  /** Judges senders after the whole digest was found right (bans) or wrong (other list, refetch). */
  settle(outcome: "right" | "wrong"): Promise<{ droppedPieces: readonly number[] }>
  /** Stops fetching; what is written stays and is served. */
  close(): void
}

/** What a peer asks this node to keep a copy of. */
export interface CopyOffer {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** What comes of an offer: the copy is here, it is on its way, or none is kept. */
export type OfferAnswer = "complete" | "partial" | "gone"

/** What a served or fetched byte is counted against; see `limits` of the configuration. */
export interface SwarmStats {
  readonly uploadedBytes: number
  readonly downloadedBytes: number
  readonly sessionCount: number
}

/** The data plane of one node. */
export interface Swarm {
  /**
   * Connected peers that have the blob, from memory, in under a millisecond; none to which the way is
   * metered.
   */
  holders(digest: Digest): readonly Holder[]
  /** Whether peers have the blob to which the way is metered. */
  isWithheld(digest: Digest): boolean
  /**
   * Asks connected peers for blobs of which {@link holders} knows nobody that has all: what peers tell lags
   * behind by a moment. What they answer enters `holders`; ends by itself within a second.
   */
  askHolders(digests: readonly Digest[], options: { signal: AbortSignal }): Promise<void>
  /** Looks further than the connected peers (DHT); ends by itself within a few seconds. */
  findHolders(digest: Digest, options: { signal: AbortSignal }): AsyncIterable<Holder>
  /** Called when a connected peer begins to have the blob. */
  onHolder(digest: Digest, listener: (holder: Holder) => void): () => void
  /** Starts to fetch a growing blob from all connected holders, present and future. */
  join(blob: PartialBlob): Torrent
  /**
   * Fetches a growing blob of one piece at once from a connected peer that has it whole, without a torrent;
   * ends by itself within a few seconds.
   * @returns who gave it; undefined: it did not come, nobody is judged for that, and a torrent may bring it
   */
  bring(blob: PartialBlob): Promise<PeerId | undefined>
  torrents(): readonly Torrent[]
  /**
   * Says what becomes of copies that peers ask this node to keep, because too few have what they pinned;
   * before that none is kept. Asked anew now and then of those that are kept.
   */
  useOffers(take: (peer: PeerId, offer: CopyOffer) => OfferAnswer): void
  /**
   * What peers may is another than before: ends at once what is open and not allowed any more, and tells
   * them anew what they may find here. The channels go on.
   */
  recheck(): void
  stats(): SwarmStats
  /** Stops taking new work, gives running uploads a moment, closes all sessions. */
  stop(): Promise<void>
}
