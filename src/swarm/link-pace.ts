/**
 * How many requests one connection should have in flight, and how they are shared out among the
 * torrents that are fetched over it.
 * @module
 */
import { BLOCK_BYTES } from "../core/limits.ts"

/** Requests on a connection of which nothing is known. */
export const DEPTH_BLOCKS_START = 32
/** On a slow way fewer are enough: what comes in this time … */
const SLOW_MS = 100
/** … and at least this many. */
const DEPTH_BLOCKS_MIN = 4
/** Requests in flight at most, for long fat links. */
export const DEPTH_BLOCKS_MAX = 4096
/** Garbage collection or a busy loop at either end takes about this long; bytes go on flowing. */
const PAUSE_MS = 10
/** A way with a shorter round trip than this is full with the requests for one pause. */
const LONG_WAY_MS = 20
/** The rate is taken over this time. */
const WINDOW_MS = 200
/** After this time another request is measured. */
const PROBE_MS_MAX = 3_000
/** How much a new measurement weighs. */
const WEIGHT = 0.4

/** A request whose round trip is measured. */
interface Probe {
  readonly by: object
  readonly index: number
  readonly begin: number
  readonly askedMs: number
  readonly receivedBytes: number
}

/** The pace of one connection. */
export class LinkPace {
  /** Smallest time seen from a request to its block, milliseconds: the way without a queue. */
  roundTripMs: number | undefined
  /** Those who have requests in flight. */
  readonly #askers = new Set<object>()
  #rateBytes = 0
  #isMeasured = false
  /** On a long way the rate at which bytes came while the last measured request was answered. */
  #deliveredRate = 0
  #receivedBytes = 0
  #windowBytes = 0
  #windowMs: number
  #depth = DEPTH_BLOCKS_START
  #probe: Probe | undefined

  constructor(nowMs: number) {
    this.#windowMs = nowMs
  }

  /** Requests to keep in flight on the whole connection. */
  get depth(): number {
    return this.#depth
  }

  /** Gives how many of them one torrent may have: an even share, and never less than a piece. */
  shareOf(asker: object, pieceBlocks: number): number {
    const askers = this.#askers.size + (this.#askers.has(asker) ? 0 : 1)
    return Math.max(pieceBlocks, Math.ceil(this.#depth / askers))
  }

  onAsked(by: object, index: number, begin: number, nowMs: number): void {
    if (this.#askers.size === 0) this.#restart(nowMs)
    this.#askers.add(by)
    // A request that is taken back or refused is never answered.
    const isOver = nowMs - (this.#probe?.askedMs ?? 0) > PROBE_MS_MAX
    if (this.#probe !== undefined && !isOver) return
    this.#probe = { by, index, begin, askedMs: nowMs, receivedBytes: this.#receivedBytes }
  }

  /** A block came: the depth grows with what is known of the rate, and falls at once. */
  onBlock(by: object, index: number, begin: number, lengthBytes: number, nowMs: number): void {
    this.#receivedBytes += lengthBytes
    this.#windowBytes += lengthBytes
    const probe = this.#probe
    if (probe?.by === by && probe.index === index && probe.begin === begin) {
      this.#probe = undefined
      this.#onRoundTrip(nowMs - probe.askedMs, this.#receivedBytes - probe.receivedBytes)
    }
    if (nowMs - this.#windowMs >= WINDOW_MS) this.#measure(nowMs)
    const rateBytes = this.#rateSoFar(nowMs)
    const target = depthFor(rateBytes, this.roundTripMs)
    const slow = Math.ceil((rateBytes * SLOW_MS) / 1000 / BLOCK_BYTES)
    const least = Math.min(Math.max(slow, DEPTH_BLOCKS_MIN), DEPTH_BLOCKS_START)
    this.#depth = Math.min(this.#depth + 1, Math.max(target, least))
  }

  /** One has no requests in flight any more. */
  onDone(by: object): void {
    this.#askers.delete(by)
    if (this.#probe?.by === by) this.#probe = undefined
  }

  #onRoundTrip(milliseconds: number, deliveredBytes: number): void {
    this.roundTripMs = Math.min(this.roundTripMs ?? milliseconds, milliseconds)
    // On a long way that is not full yet this tells the rate one round trip after the depth grew, long
    // before the next measurement. On a short one it tells how evenly the two processes run.
    const isLong = this.roundTripMs >= LONG_WAY_MS
    this.#deliveredRate = isLong ? (deliveredBytes * 1000) / milliseconds : 0
  }

  /** Bytes per second. Before the first measurement: what came so far. */
  #rateSoFar(nowMs: number): number {
    const elapsedMs = nowMs - this.#windowMs
    if (this.#isMeasured || elapsedMs < PAUSE_MS)
      return Math.max(this.#rateBytes, this.#deliveredRate)
    return Math.max((this.#windowBytes * 1000) / elapsedMs, this.#deliveredRate)
  }

  #measure(nowMs: number): void {
    const rateBytes = (this.#windowBytes * 1000) / (nowMs - this.#windowMs)
    const weight = this.#isMeasured ? WEIGHT : 1
    this.#rateBytes += (rateBytes - this.#rateBytes) * weight
    this.#isMeasured = true
    this.#restart(nowMs)
  }

  /** Time in which nothing was asked says nothing of the connection. */
  #restart(nowMs: number): void {
    this.#windowMs = nowMs
    this.#windowBytes = 0
  }
}

/**
 * Gives the requests to keep in flight: what comes within two round trips, or one and a pause. More makes
 * nothing faster, and all that is in flight is lost when the process dies.
 */
export function depthFor(rateBytes: number, roundTripMs: number | undefined): number {
  const wayMs = roundTripMs ?? 0
  const aheadMs = wayMs + Math.max(wayMs, PAUSE_MS)
  return Math.min(Math.ceil((rateBytes * aheadMs) / 1000 / BLOCK_BYTES), DEPTH_BLOCKS_MAX)
}
