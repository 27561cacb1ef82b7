/**
 * The port to the blobs of one node: bytes by SHA-256, whole or growing piece by piece
 * (adapter: `disk-store.ts`, twin: `memory-store.ts`, contract: `test/contract/blob-store.ts`).
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { Digest } from "../core/digest.ts"
import type { ByteRange, PieceLayout } from "../core/piece.ts"
import type { Kv } from "./kv.ts"
import type { GoesLast } from "./quota.ts"

/** What is known of a blob without touching the disk. */
export interface BlobStat {
  readonly digest: Digest
  readonly layout: PieceLayout
  /** True once the SHA-256 of the whole was found right. */
  readonly isComplete: boolean
  readonly pieceCount: number
  readonly isPinned: boolean
  readonly lastUsedMs: number
  /** False for content whose upstream needed credentials: it goes to no other node. */
  readonly isShared: boolean
}

/** What became of a blob. `partial`: it is new, or lost pieces. */
export type BlobChange =
  | { readonly kind: "partial" | "complete" | "removed"; readonly digest: Digest }
  | { readonly kind: "piece"; readonly digest: Digest; readonly index: number }

/** What became of a piece that was handed in. `sha256` is that of the bytes handed in. */
export type PieceOutcome =
  | { readonly kind: "written"; readonly sha256: Uint8Array }
  | { readonly kind: "mismatch"; readonly sha256: Uint8Array }

/** What became of a blob all of whose pieces are there. */
export type WholeOutcome =
  | { readonly kind: "complete" }
  /** The SHA-256 of the whole is wrong; nothing was dropped yet. */
  | { readonly kind: "mismatch"; readonly actual: Digest }

/**
 * A lease on one blob, complete or partial: while it is held, neither sweep nor `remove` takes bytes
 * away. Release it exactly once.
 */
export interface BlobReader {
  readonly digest: Digest
  readonly layout: PieceLayout
  readonly isComplete: boolean
  hasRange(range: ByteRange): boolean
  /**
   * Reads verified bytes of pieces that are there. A piece that was not hashed since the file last
   * changed (or since the process started) is hashed first.
   * @param range - not empty, at most 4 MiB
   * @param target - where to read to, at least as long as the range; a fresh buffer when left out
   * @throws StoreError `BLOB_CORRUPT` when the disk lies: the pieces were dropped and the blob is
   * partial again; `PIECE_MISSING` when a piece is not there
   */
  read(range: ByteRange, target?: Uint8Array): Promise<Uint8Array>
  /**
   * The same for contiguous bytes that go to several places (one vectored read): fills `targets` in
   * order from `start` on. The wire uses it to read between its message headers.
   */
  readScattered(start: number, targets: readonly Uint8Array[]): Promise<void>
  release(): void
}

/** A blob that grows. There is one object per digest; each holder closes its own lease. */
export interface PartialBlob extends BlobReader {
  /** The pieces that are verified and written. Read it, never change it. */
  readonly pieces: Bitfield
  /** Gives the SHA-256 of a piece that is there (32 bytes). */
  pieceSha256(index: number): Uint8Array | undefined
  /** A piece-long buffer to receive into; bounded in number, so wait for it. Hand it back once. */
  takeBuffer(options?: { signal?: AbortSignal }): Promise<Uint8Array>
  /** Gives a buffer, or undefined when all are taken. */
  tryTakeBuffer(): Uint8Array | undefined
  returnBuffer(buffer: Uint8Array): void
  /**
   * Hashes a piece and, if its hash is `expected` (or nothing was expected), writes it and notes it
   * in the bitmap, durably against the death of the process. Several may be under way at once. A
   * piece that is there stays as it is: other bytes for it are a mismatch. A blob of one piece whose
   * digest is right is complete with it; {@link finish} then has nothing to do.
   * @param bytes - exactly the piece's length; best a part of a buffer from {@link takeBuffer}, which
   * is then hashed and written off the main thread
   * @param expected - its SHA-256 (32 bytes), or its SHA-1 (20 bytes) where a standard torrent gives
   * nothing else
   */
  writePiece(index: number, bytes: Uint8Array, expected?: Uint8Array): Promise<PieceOutcome>
  /** Forgets pieces whose bytes turned out wrong; of a complete blob none are, so nothing happens. */
  dropPieces(indexes: readonly number[]): Promise<void>
  /**
   * Checks the SHA-256 of the whole and, if right, makes the blob complete (fsync, rename, index).
   * @throws StoreError `PIECE_MISSING`; `BLOB_CORRUPT` when the whole is wrong because the disk lost
   * or changed pieces: they were dropped, and no sender is to blame
   */
  finish(options?: { signal?: AbortSignal }): Promise<WholeOutcome>
}

/**
 * Bytes that arrive in order under no name yet (OCI uploads). Survives no restart. A write that fails
 * ends it; what is asked of it after its end fails with `STORE_CLOSED`.
 */
export interface Upload {
  readonly id: string
  readonly sizeBytes: number
  /** Appends. @throws StoreError `QUOTA_EXCEEDED`, `DISK_FULL` */
  write(bytes: Uint8Array): Promise<void>
  /** Makes the bytes a complete blob. @throws StoreError `DIGEST_MISMATCH`: nothing is kept */
  commit(expected: Digest): Promise<BlobStat>
  cancel(): Promise<void>
}

/** A named reason to keep blobs. */
export interface Pin {
  readonly name: string
  readonly digests: readonly Digest[]
  /**
   * Lets the blobs go, when room is needed, as long as so many other nodes have them; left out: they
   * stay in any case.
   */
  readonly minReplicas?: number
}

/** Most copies that a pin may ask for: more peers than that are seldom connected. */
export const REPLICAS_MAX = 256

/** Tells whether at least `minReplicas` other nodes have a blob and are charged with keeping it. */
export type IsSpare = (digest: Digest, minReplicas: number) => boolean

export interface SweepReport {
  readonly removed: readonly Digest[]
  readonly freedBytes: number
}

/** One finding of {@link BlobStore.verify}. */
export interface VerifyFinding {
  readonly digest: Digest
  readonly kind: "ok" | "corrupt" | "missing" | "foreign"
  /** Bytes checked so far and in all, for a progress bar. */
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface StoreUsage {
  readonly usedBytes: number
  readonly quotaBytes: number
  readonly blobCount: number
}

/** The blobs of one node. */
export interface BlobStore {
  stat(digest: Digest): BlobStat | undefined
  list(): Iterable<BlobStat>
  /** Leases a blob, complete or partial; undefined when there is none. Counts as a use. */
  open(digest: Digest): BlobReader | undefined
  /**
   * Leases the growing blob of this digest; makes it when there is none (`isShared` counts then).
   * @throws StoreError `SIZE_CONFLICT` if it is known with another size, `QUOTA_EXCEEDED` if a sweep
   * cannot make room, `BLOB_COMPLETE` if it is complete already
   */
  openPartial(
    digest: Digest,
    sizeBytes: number,
    options?: { isShared?: boolean },
  ): Promise<PartialBlob>
  /** Gives the SHA-256 list of a complete blob, 32 bytes per piece; undefined unless complete. */
  pieceList(digest: Digest): Uint8Array | undefined
  /** Takes in a whole stream: write → verify → fsync → rename → index. */
  ingest(
    source: AsyncIterable<Uint8Array>,
    options: {
      expected?: Digest
      sizeBytesMax?: number
      isShared?: boolean
      signal?: AbortSignal
    },
  ): Promise<BlobStat>
  createUpload(): Promise<Upload>
  /** Marks a blob as free to go to other nodes, or not. */
  share(digest: Digest, isShared: boolean): Promise<void>
  pin(pin: Pin): Promise<void>
  /** @returns whether there was such a pin */
  unpin(name: string): Promise<boolean>
  pins(): Iterable<Pin>
  /** Says who knows of copies elsewhere; before that, whatever is pinned stays. */
  useReplicas(isSpare: IsSpare): void
  /** Says which blobs a sweep takes last of those that it may take; before that, none in particular. */
  useLast(goesLast: GoesLast): void
  /** Removes a blob unless it is pinned or leased. @throws StoreError `BLOB_IN_USE` */
  remove(digest: Digest): Promise<boolean>
  /** Removes the least recently used until `quotaBytes` holds; never what is pinned or leased. */
  sweep(options?: { targetBytes?: number }): Promise<SweepReport>
  /** Hashes everything. `repair` drops bad pieces, so that the next fetch brings them anew. */
  verify(options: { repair: boolean; signal?: AbortSignal }): AsyncIterable<VerifyFinding>
  usage(): StoreUsage
  /** @returns the way to stop listening; listeners are called in order and must not throw */
  onChange(listener: (change: BlobChange) => void): () => void
  /** A part of the index for another room. */
  kv(name: string): Kv
  close(): Promise<void>
}
