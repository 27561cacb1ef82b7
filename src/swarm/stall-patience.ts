/**
 * How long a source may give nothing before it counts as stalled. On a slow link each block takes long, and
 * its sender may serve others meanwhile: what is asked of others then comes all the same, and comes twice.
 * @module
 */
import { BLOCK_BYTES, STALL_MS_MAX } from "../core/limits.ts"

/** A source has the time in which so many blocks come from each that owes something … */
const BEHIND_BLOCKS = 32
/** … but no longer than this. */
export const STALL_MS_SLOW_MAX = 15_000
/** All are silent for this long: then it is no slow link. */
const DRY_MS: number = 2 * STALL_MS_MAX
/** The rate at which blocks come is taken over this time. */
const WINDOW_MS = 1_000
/** How much a new measurement weighs. */
const WEIGHT = 0.25

/** The patience of one torrent with its sources. */
export class StallPatience {
  #rateBytes: number | undefined
  #sinceMs: number
  /** When something last came from anybody. */
  #grewMs = Number.NEGATIVE_INFINITY
  #receivedBytes = 0
  #stallMs = STALL_MS_MAX

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  /** Milliseconds without a block after which a source is stalled. */
  get stallMs(): number {
    return this.#stallMs
  }

  /**
   * @param receivedBytes - from all sources, since the torrent began
   * @param owingCount - sources that owe something now
   */
  tick(
    nowMs: number,
    { receivedBytes, owingCount }: { readonly receivedBytes: number; readonly owingCount: number },
  ): void {
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs < WINDOW_MS) return
    const newBytes = receivedBytes - this.#receivedBytes
    const newRate = (newBytes * 1000) / elapsedMs
    this.#rateBytes ??= newRate
    this.#rateBytes += (newRate - this.#rateBytes) * WEIGHT
    this.#sinceMs = nowMs
    this.#receivedBytes = receivedBytes
    if (newBytes > 0) this.#grewMs = nowMs
    // When nothing comes from anybody, that nothing comes from one says nothing of its link.
    const isDry = nowMs - this.#grewMs > DRY_MS
    this.#stallMs = isDry ? STALL_MS_MAX : stallMsAt(this.#rateBytes, owingCount)
  }
}

function stallMsAt(rateBytes: number, owingCount: number): number {
  const behindMs = (BEHIND_BLOCKS * owingCount * BLOCK_BYTES * 1000) / Math.max(rateBytes, 1)
  return Math.min(Math.max(behindMs, STALL_MS_MAX), STALL_MS_SLOW_MAX)
}
