/**
 * What can go wrong in the store.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the store. */
export type StoreErrorCode =
  /** Another node runs on this data directory. */
  | "STORE_LOCKED"
  /** The data directory cannot be written. */
  | "STORE_READ_ONLY"
  /** The disk is full. */
  | "DISK_FULL"
  /** The quota is reached and nothing may be swept. */
  | "QUOTA_EXCEEDED"
  /** The bytes have another digest than was asked for. */
  | "DIGEST_MISMATCH"
  /** A digest is known with another size. */
  | "SIZE_CONFLICT"
  /** More bytes came than are allowed. */
  | "SIZE_EXCEEDED"
  /** The blob is complete already. */
  | "BLOB_COMPLETE"
  /** The bytes on disk are no longer those that were verified. */
  | "BLOB_CORRUPT"
  /** The blob is pinned or being read. */
  | "BLOB_IN_USE"
  /** A piece that was asked for is not there. */
  | "PIECE_MISSING"
  /** The store is closed. */
  | "STORE_CLOSED"

export class StoreError extends CodedError<StoreErrorCode> {}
