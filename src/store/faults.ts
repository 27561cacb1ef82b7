/**
 * The store's errors, worded in one place.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { ByteRange } from "../core/piece.ts"
import { StoreError } from "./errors.ts"

export function pieceMissing(digest: Digest, range: ByteRange): StoreError {
  const message = `bytes ${range.start}–${range.end} of ${digest} are not all there`
  return new StoreError("PIECE_MISSING", message, { details: { digest, ...range } })
}

export function blobCorrupt(digest: Digest, pieces: readonly number[]): StoreError {
  const message = `${pieces.length} piece(s) of ${digest} changed on disk; they were dropped`
  return new StoreError("BLOB_CORRUPT", message, { details: { digest, pieces: [...pieces] } })
}

export function digestMismatch(expected: Digest, actual: Digest): StoreError {
  const message = `the bytes are ${actual}, not ${expected}`
  return new StoreError("DIGEST_MISMATCH", message, { details: { expected, actual } })
}

export function sizeConflict(digest: Digest, known: number, wanted: number): StoreError {
  const message = `${digest} is known with ${known} bytes, not ${wanted}`
  return new StoreError("SIZE_CONFLICT", message, { details: { digest, known, wanted } })
}

export function sizeExceeded(maxBytes: number): StoreError {
  const message = `more than the allowed ${maxBytes} bytes came`
  return new StoreError("SIZE_EXCEEDED", message, { details: { maxBytes } })
}

export function blobInUse(digest: Digest, reason: "pinned" | "leased"): StoreError {
  return new StoreError("BLOB_IN_USE", `${digest} is ${reason}`, { details: { digest, reason } })
}

export function blobComplete(digest: Digest): StoreError {
  return new StoreError("BLOB_COMPLETE", `${digest} is complete already`, { details: { digest } })
}

export function storeClosed(): StoreError {
  return new StoreError("STORE_CLOSED", "the store is closed")
}

export function uploadOver(id: string): StoreError {
  return new StoreError("STORE_CLOSED", `the upload ${id} is over`)
}

/** Words a fault of the file system or of the index; what is none of the store's is given back. */
export function diskFault(error: unknown): unknown {
  const code = codeOf(error)
  const message = messageOf(error)
  // level names an error of the disk only in its message.
  const isFull =
    code === "ENOSPC" || code === "EDQUOT" || /No space left|quota exceeded/i.test(message)
  if (isFull) return new StoreError("DISK_FULL", `the disk is full: ${message}`, { cause: error })
  if (code === "EROFS" || code === "EACCES" || code === "EPERM") {
    return new StoreError("STORE_READ_ONLY", `cannot write: ${message}`, { cause: error })
  }
  if (code === "LEVEL_DATABASE_NOT_OPEN") return storeClosed()
  return error
}
