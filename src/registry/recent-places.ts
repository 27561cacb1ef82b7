/**
 * Which upstream repositories answered just now.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Place, placeKey } from "./place.ts"

/** One pull asks for its index, manifests and blobs within this time. */
const RECENT_MS = 30_000
const PLACES_MAX = 1_000

export class RecentPlaces {
  readonly #clock: Clock
  readonly #seenMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(place: Place): void {
    const key = placeKey(place)
    this.#seenMs.delete(key)
    this.#seenMs.set(key, this.#clock.monotonicMs())
    const oldest = this.#seenMs.keys().next()
    if (this.#seenMs.size > PLACES_MAX && oldest.done !== true) this.#seenMs.delete(oldest.value)
  }

  has(place: Place): boolean {
    const seenMs = this.#seenMs.get(placeKey(place))
    return seenMs !== undefined && this.#clock.monotonicMs() - seenMs < RECENT_MS
  }
}
