/**
 * How fast a source is, and from that how many requests it should have in flight.
 * @module
 */
import { BLOCK_BYTES } from "../core/limits.ts"

/** Requests that a source gets before anything is known of it. */
export const DEPTH_BLOCKS_START = 32
/** Requests in flight on a fast link with a short round trip. */
export const DEPTH_BLOCKS_FAST = 512
/** Requests in flight at most, for long fat links. */
export const DEPTH_BLOCKS_MAX = 4096
const DEPTH_BLOCKS_MIN = 8
/** Short of {@link DEPTH_BLOCKS_FAST}, requests for this time ahead are kept in flight. */
const AHEAD_SECONDS = 0.1
/** How much a new measurement weighs. */
const WEIGHT = 0.4
/** What came in less time than this says nothing of a rate. */
const RATE_MS_MIN = 5
/** After this many measurements the rate is believed. */
const MEASURES_MIN = 3

/** The score of one source for one torrent. */
export class PeerScore {
  /** Smallest time seen from a request on an idle connection to its block, milliseconds. */
  roundTripMs: number | undefined
  #rateBytes = 0
  #measures = 0
  #newBytes = 0
  #sinceMs: number
  #depth = DEPTH_BLOCKS_START

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  /** Bytes per second. */
  get rateBytes(): number {
    return this.#rateBytes
  }

  /** The same before the first measurement too, from what came so far; 0 while nothing can be said. */
  rateBytesAt(nowMs: number): number {
    const elapsedMs = nowMs - this.#sinceMs
    if (this.#measures > 0 || elapsedMs < RATE_MS_MIN) return this.#rateBytes
    return (this.#newBytes * 1000) / elapsedMs
  }

  /** Requests to keep in flight. */
  get depth(): number {
    return this.#depth
  }

  /** A block came. While the rate is not known yet, each lets the depth grow (slow start). */
  onBlock(lengthBytes: number): void {
    this.#newBytes += lengthBytes
    if (this.#measures < MEASURES_MIN && this.#depth < DEPTH_BLOCKS_FAST) this.#depth++
  }

  onRoundTrip(milliseconds: number): void {
    this.roundTripMs = Math.min(this.roundTripMs ?? milliseconds, milliseconds)
  }

  /** The source made no progress: it begins anew, with little. */
  onStall(): void {
    this.#depth = DEPTH_BLOCKS_MIN
    this.#rateBytes = 0
    this.#measures = 0
  }

  /** Takes a measurement; called about four times a second while requests are in flight. */
  measure(nowMs: number): void {
    const seconds = (nowMs - this.#sinceMs) / 1000
    if (seconds <= 0) return
    const rate = this.#newBytes / seconds
    const weight = this.#measures === 0 ? 1 : WEIGHT
    this.#rateBytes += (rate - this.#rateBytes) * weight
    this.#newBytes = 0
    this.#sinceMs = nowMs
    if (++this.#measures >= MEASURES_MIN) this.#depth = depthFor(this.#rateBytes, this.roundTripMs)
  }

  /** Time passed in which nothing was asked: it says nothing of the source. */
  skip(nowMs: number): void {
    this.#newBytes = 0
    this.#sinceMs = nowMs
  }
}

/**
 * Gives the requests to keep in flight: `rate × round trip × 2`, and on a short link what comes
 * within {@link AHEAD_SECONDS}, up to {@link DEPTH_BLOCKS_FAST}.
 */
export function depthFor(rateBytes: number, roundTripMs: number | undefined): number {
  const ahead = Math.min((rateBytes * AHEAD_SECONDS) / BLOCK_BYTES, DEPTH_BLOCKS_FAST)
  const inFlight = (rateBytes * (roundTripMs ?? 0) * 2) / 1000 / BLOCK_BYTES
  const depth = Math.ceil(Math.max(ahead, inFlight, DEPTH_BLOCKS_START))
  return Math.min(depth, DEPTH_BLOCKS_MAX)
}
