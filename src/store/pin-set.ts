/**
 * The named sets of digests that no sweep may take.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Pin } from "./store.ts"

/** Pins in memory; tells in O(1) whether a digest is in any of them. */
export class PinSet {
  readonly #pins = new Map<string, Pin>()
  readonly #counts = new Map<Digest, number>()

  /** Sets a pin, in place of the one of the same name. */
  set(pin: Pin): void {
    this.delete(pin.name)
    const digests = [...new Set(pin.digests)]
    this.#pins.set(pin.name, { name: pin.name, digests })
    for (const digest of digests) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
  }

  /** @returns whether there was such a pin */
  delete(name: string): boolean {
    const pin = this.#pins.get(name)
    if (pin === undefined) return false
    this.#pins.delete(name)
    for (const digest of pin.digests) {
      const count = this.#counts.get(digest)! - 1
      if (count === 0) this.#counts.delete(digest)
      else this.#counts.set(digest, count)
    }
    return true
  }

  has(digest: Digest): boolean {
    return this.#counts.has(digest)
  }

  list(): readonly Pin[] {
    return [...this.#pins.values()]
  }
}
