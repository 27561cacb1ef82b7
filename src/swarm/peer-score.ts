/**
 * How fast a source is for one torrent, and how far it is trusted with requests.
 * @module
 */
/** Requests that a source gets after it stalled. */
const DEPTH_BLOCKS_STALLED = 8
/** How much a new measurement weighs. */
const WEIGHT = 0.4
/** What came in less time than this says nothing of a rate. */
const RATE_MS_MIN = 5

/** The score of one source for one torrent. */
export class PeerScore {
  #rateBytes = 0
  #isMeasured = false
  #newBytes = 0
  #sinceMs: number
  #depthMax = Number.POSITIVE_INFINITY

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
    if (this.#isMeasured || elapsedMs < RATE_MS_MIN) return this.#rateBytes
    return (this.#newBytes * 1000) / elapsedMs
  }

  /** Requests that it may have in flight, however fast its connection is. */
  get depthMax(): number {
    return this.#depthMax
  }

  /** A block came; after a stall each lets it have one more. */
  onBlock(lengthBytes: number): void {
    this.#newBytes += lengthBytes
    this.#depthMax++
  }

  /** The source made no progress: it begins anew, with little. */
  onStall(): void {
    this.#depthMax = DEPTH_BLOCKS_STALLED
    this.#rateBytes = 0
    this.#isMeasured = false
  }

  /** Takes a measurement; called about four times a second while requests are in flight. */
  measure(nowMs: number): void {
    const seconds = (nowMs - this.#sinceMs) / 1000
    if (seconds <= 0) return
    const rate = this.#newBytes / seconds
    this.#rateBytes += (rate - this.#rateBytes) * (this.#isMeasured ? WEIGHT : 1)
    this.#isMeasured = true
    this.#newBytes = 0
    this.#sinceMs = nowMs
  }

  /** Time passed in which nothing was asked: it says nothing of the source. */
  skip(nowMs: number): void {
    this.#newBytes = 0
    this.#sinceMs = nowMs
  }
}
