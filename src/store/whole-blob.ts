/**
 * Reading blobs that are here whole: leased for the time of some work, in order, and compared with their
 * digests.
 * @module
 */
import { createHash } from "node:crypto"
import { type Digest, digestOfRaw } from "../core/digest.ts"
import { StoreError } from "./errors.ts"
import { READ_BYTES_MAX } from "./reading.ts"
import type { BlobReader, BlobStore } from "./store.ts"

/** Leases a whole blob for the time of some work. @throws {@link StoreError} `PIECE_MISSING` */
export async function withBlob<T>(
  store: BlobStore,
  digest: Digest,
  work: (reader: BlobReader) => Promise<T>,
): Promise<T> {
  const reader = store.open(digest)
  if (reader === undefined) throw new StoreError("PIECE_MISSING", `${digest} is not here`)
  try {
    if (!reader.isComplete) throw new StoreError("PIECE_MISSING", `${digest} is not here whole`)
    return await work(reader)
  } finally {
    reader.release()
  }
}

/**
 * Gives the bytes of a blob in order, in parts that are the reader's until it asks for the next one.
 * @throws {@link StoreError} `BLOB_CORRUPT`
 */
export async function* bytesOf(
  reader: BlobReader,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { sizeBytes } = reader.layout
  const buffer = new Uint8Array(Math.min(sizeBytes, READ_BYTES_MAX))
  for (let start = 0; start < sizeBytes; start += READ_BYTES_MAX) {
    signal.throwIfAborted()
    const end = Math.min(start + READ_BYTES_MAX, sizeBytes)
    const target = buffer.subarray(0, end - start)
    await reader.read({ start, end }, target)
    yield target
  }
}

/**
 * Reads all of a blob again and hashes it.
 * @param options.onBytes - told how many bytes were read since it was told last
 * @returns false also when it is not here whole
 */
export async function isStoredRight(
  store: BlobStore,
  digest: Digest,
  options: { readonly signal: AbortSignal; readonly onBytes?: (count: number) => void },
): Promise<boolean> {
  const { signal, onBytes } = options
  try {
    const hash = createHash("sha256")
    await withBlob(store, digest, async (reader) => {
      for await (const bytes of bytesOf(reader, signal)) {
        hash.update(bytes)
        onBytes?.(bytes.length)
      }
    })
    return digestOfRaw(hash.digest()) === digest
  } catch (error) {
    signal.throwIfAborted()
    // What is read is compared with the hashes of its pieces.
    if (error instanceof StoreError && FAULTS_OF_BYTES.includes(error.code)) return false
    throw error
  }
}

const FAULTS_OF_BYTES: readonly string[] = ["BLOB_CORRUPT", "PIECE_MISSING"]
