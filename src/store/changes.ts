/**
 * Tells listeners what becomes of blobs, in order.
 * @module
 */
import type { BlobChange } from "./store.ts"

/** The listeners of one store. */
export class Changes {
  readonly #listeners = new Set<{ readonly call: (change: BlobChange) => void }>()

  /** @returns the way to stop listening */
  listen(call: (change: BlobChange) => void): () => void {
    const listener = { call }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  emit(change: BlobChange): void {
    for (const listener of [...this.#listeners]) listener.call(change)
  }
}
