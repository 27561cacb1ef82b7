/**
 * Leases on the parts of one image, so that no sweep takes the first while the last still travels.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { DeliveryError } from "../delivery/errors.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"

/** Leases that are released together. */
export class ImageLeases implements Disposable {
  readonly #store: BlobStore
  readonly #readers: BlobReader[] = []

  constructor(store: BlobStore) {
    this.#store = store
  }

  /** Leases a blob that is here. @throws DeliveryError `BLOB_UNAVAILABLE` when it just went */
  add(digest: Digest): void {
    const reader = this.#store.open(digest)
    if (reader?.isComplete === true) {
      this.#readers.push(reader)
      return
    }
    reader?.release()
    throw new DeliveryError(
      "BLOB_UNAVAILABLE",
      `${digest} was swept as soon as it was here; the quota is too small for this image`,
    )
  }

  [Symbol.dispose](): void {
    for (const reader of this.#readers.splice(0)) reader.release()
  }
}
