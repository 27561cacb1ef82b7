/**
 * What the store's main thread and its two others say to each other: the piece thread writes, the whole
 * thread hashes whole blobs.
 * @module
 */

/** A partial blob that the thread is to write to, or whose whole SHA-256 it is to keep. */
export interface AttachJob {
  readonly kind: "attach"
  readonly blob: number
  readonly fd: number
  readonly sizeBytes: number
  readonly lengthBytes: number
  /** Bitfield bytes of the pieces that are there already. */
  readonly pieces: Uint8Array
}

/** Hash a piece and, if right, write it. An `expected` of 20 bytes is its SHA-1. */
export interface WriteJob {
  readonly kind: "write"
  readonly id: number
  readonly blob: number
  readonly index: number
  readonly bytes: Uint8Array
  readonly expected: Uint8Array | undefined
  /** Whether the answer is to carry the SHA-256 of a right piece; that of a wrong one it always does. */
  readonly wantsSha256: boolean
}

/**
 * Hash a whole blob of one piece and, if right, make it a file under its own name, durably. Nothing may
 * be at `path`, or what is there may go.
 */
export interface PlaceJob {
  readonly kind: "place"
  readonly id: number
  readonly bytes: Uint8Array
  readonly expected: Uint8Array
  /** Where it is written; it gets its own name when all of it is there. */
  readonly partialPath: string
  readonly path: string
}

/**
 * Hash a piece into the whole, if it is the next in order, while it is being checked and written. It
 * counts once {@link WroteJob} says so; {@link DropJob} takes it back.
 */
export interface RollJob {
  readonly kind: "roll"
  readonly id: number
  readonly blob: number
  readonly index: number
  readonly bytes: Uint8Array
  /** Whether the answer is to carry the SHA-256 of the piece. */
  readonly wantsSha256: boolean
}

/** A piece is right and in the file. */
export interface WroteJob {
  readonly kind: "wrote"
  readonly blob: number
  readonly index: number
}

/** Hash bytes of a file. */
export interface HashJob {
  readonly kind: "hash"
  readonly id: number
  readonly fd: number
  readonly offset: number
  readonly lengthBytes: number
}

/** Give the SHA-256 of a whole blob, all of whose pieces were written. */
export interface WholeJob {
  readonly kind: "whole"
  readonly id: number
  readonly blob: number
}

/** Forget pieces that were written, or rolled along and then found wrong. */
export interface DropJob {
  readonly kind: "drop"
  readonly blob: number
  readonly indexes: readonly number[]
}

/** Let go of a blob's file. */
export interface DetachJob {
  readonly kind: "detach"
  readonly id: number
  readonly blob: number
}

export type Job =
  | AttachJob
  | WriteJob
  | PlaceJob
  | RollJob
  | WroteJob
  | HashJob
  | WholeJob
  | DropJob
  | DetachJob
/** A job that is answered. */
export type AskedJob = Extract<Job, { id: number }>

export type Answer =
  | {
      readonly kind: "done"
      readonly id: number
      /** Empty when it was not asked for, and when the file is shorter than was to be hashed. */
      readonly sha256: Uint8Array
      /** For a write or a place: whether the SHA-256 was the expected one, and so it was done. */
      readonly isRight: boolean
      /** For a place that was done: which file it is; see {@link identityOf}. */
      readonly identity?: string
    }
  | {
      readonly kind: "failed"
      readonly id: number
      readonly code: string | undefined
      readonly message: string
    }
