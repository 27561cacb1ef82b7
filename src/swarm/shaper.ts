/**
 * Shapes the traffic of one direction: what passes takes tokens of the whole node and of its class, and
 * those who have to wait take turns.
 *
 * Goal: with a limit of L and enough to do, 0.95 to 1.02 L in any five seconds.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { BLOCK_BYTES } from "../core/limits.ts"
import { type BucketRate, TokenBucket } from "../core/token-bucket.ts"
import type { TrafficClass } from "./traffic-class.ts"
import { PIECE_HEAD_BYTES } from "./wire-messages.ts"

/**
 * Below the middle of what is promised: beside the blocks go messages that nobody holds back, and of a
 * quarter of a megabyte a second those of four peers are up to one per cent.
 */
const SLOW_AIM = 0.975
/** On faster links headers and what sockets hold back add up to more than a late timer costs. */
const FAST_AIM = 0.98
const FAST_BYTES_PER_SECOND = 1_000_000
/**
 * No window has more than this of the rate beyond its own: what is saved up, and the turn that begins
 * with the last token. Of five seconds it is 3 %, so that 0.98 becomes 1.01.
 */
const EXCESS_MS = 150
/** At very low limits, where one block takes longer than that. */
const BURST_MS_MIN = 20
/** A turn is what passes in this time at the limit, but one block at least. */
const TURN_MS = 10
const TURN_BYTES_MIN: number = BLOCK_BYTES + PIECE_HEAD_BYTES
/** Bytes asked for and not here yet, beyond those of one round trip. */
const AHEAD_MS = 75
/** Timers are no finer than this. */
const TIMER_MS_MIN = 1

type BucketName = "total" | "lan" | "wan"
const BUCKETS: readonly BucketName[] = ["total", "lan", "wan"]

/** Limits of one direction, bytes per second. */
export type DirectionLimits = Readonly<Partial<Record<BucketName, number>>>

/** One user of a shaper: the uploads of a connection, a source, an answer of an origin. */
export interface Flow {
  /**
   * Bytes that may pass now; 0: it has to wait, and is woken when its turn comes. More may pass than
   * that: it is a debt, which later turns pay.
   */
  allowance(): number
  /** Bytes passed. */
  spend(bytes: number): void
  /** What was spent did not pass after all. */
  refund(bytes: number): void
  /** Bytes were asked for, and will be spent when they come. */
  reserve(bytes: number): void
  /** What was reserved came, or will not. */
  release(bytes: number): void
  /** Requests to have in flight at most, over a way with this round trip. */
  depthMax(roundTripMs: number | undefined): number
  /** It waits for nothing any more; what is reserved is given back. */
  close(): void
}

/** What a shaper knows of a flow. */
interface FlowOptions {
  /** May change: a peer tells its zone after it is connected. */
  readonly classOf: () => TrafficClass
  readonly wake: () => void
  /** Told of bytes that passed; below zero: they did not after all. */
  readonly onPassed?: (bytes: number) => void
}

/** One direction of a node. */
export class Shaper {
  readonly #clock: Clock
  readonly #buckets = new Map<BucketName, TokenBucket>()
  readonly #waiting = new Set<ShapedFlow>()
  #cancelTimer: (() => void) | undefined
  #timerMs = Number.POSITIVE_INFINITY
  #passedBytes: Record<TrafficClass, number> = { lan: 0, wan: 0, metered: 0 }

  constructor(deps: { clock: Clock }, limits: DirectionLimits = {}) {
    this.#clock = deps.clock
    this.setLimits(limits)
  }

  /** False while nothing is limited: then flows cost one look at this. */
  get isLimited(): boolean {
    return this.#buckets.size > 0
  }

  /** Flows that wait for their turn. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  setLimits(limits: DirectionLimits): void {
    for (const name of BUCKETS) {
      const limit = limits[name]
      const bucket = this.#buckets.get(name)
      if (limit === undefined || limit === Number.POSITIVE_INFINITY) this.#buckets.delete(name)
      else if (bucket !== undefined) bucket.setRate(rateFor(limit))
      else this.#buckets.set(name, new TokenBucket(this.#clock, rateFor(limit)))
    }
    this.#arm()
  }

  flow(options: FlowOptions): Flow {
    return new ShapedFlow(this, options)
  }

  /** Bytes that passed in each class, since the start. */
  get passedBytes(): Readonly<Record<TrafficClass, number>> {
    return this.#passedBytes
  }

  /** Bytes passed, of a flow or small messages that belong to none. */
  spend(name: TrafficClass, bytes: number): void {
    this.#passedBytes[name] += bytes
    if (this.isLimited) this.take(name, bytes)
  }

  refund(name: TrafficClass, bytes: number): void {
    this.#passedBytes[name] -= bytes
    this.give(name, bytes)
  }

  // Of the flows.

  take(name: TrafficClass, bytes: number): void {
    this.#buckets.get("total")?.take(bytes)
    this.#bucket(name)?.take(bytes)
  }

  give(name: TrafficClass, bytes: number): void {
    this.#buckets.get("total")?.give(bytes)
    this.#bucket(name)?.give(bytes)
    this.#arm()
  }

  /** The lowest limit that holds for a class, bytes per second. */
  rateOf(name: TrafficClass): number {
    const total = this.#buckets.get("total")?.rateBytes ?? Number.POSITIVE_INFINITY
    return Math.min(total, this.#bucket(name)?.rateBytes ?? Number.POSITIVE_INFINITY)
  }

  waitMs(name: TrafficClass): number {
    const waitMs = this.#buckets.get("total")?.waitMs ?? 0
    return Math.max(waitMs, this.#bucket(name)?.waitMs ?? 0)
  }

  /** Whether somebody else waits for tokens of the same buckets: then a newcomer waits behind. */
  isContended(name: TrafficClass): boolean {
    if (this.#waiting.size === 0) return false
    if (this.#buckets.has("total")) return true
    for (const flow of this.#waiting) if (bucketOf(flow.name) === bucketOf(name)) return true
    return false
  }

  wait(flow: ShapedFlow): void {
    if (this.#waiting.has(flow)) return
    this.#waiting.add(flow)
    this.#arm()
  }

  leave(flow: ShapedFlow): void {
    this.#waiting.delete(flow)
  }

  #bucket(name: TrafficClass): TokenBucket | undefined {
    return this.#buckets.get(bucketOf(name))
  }

  /** Sets the timer to when the first of those who wait may go. */
  #arm(): void {
    if (this.#waiting.size === 0) return
    const names = new Set<TrafficClass>()
    for (const { name } of this.#waiting) names.add(name)
    const waits = [...names].map((name) => this.waitMs(name))
    const dueMs = this.#clock.monotonicMs() + Math.max(Math.min(...waits), TIMER_MS_MIN)
    if (this.#cancelTimer !== undefined && this.#timerMs <= dueMs) return
    this.#cancelTimer?.()
    this.#timerMs = dueMs
    const delayMs = Math.max(dueMs - this.#clock.monotonicMs(), 0)
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#serve())
  }

  /** Gives turns, in the order of waiting, until the tokens are gone. */
  #serve(): void {
    this.#cancelTimer = undefined
    this.#timerMs = Number.POSITIVE_INFINITY
    // Who uses up a turn and wants another is added at the end, and looked at again.
    for (const flow of this.#waiting) {
      if (this.waitMs(flow.name) > 0) continue
      this.#waiting.delete(flow)
      flow.takeTurn()
    }
    this.#arm()
  }
}

class ShapedFlow implements Flow {
  readonly #shaper: Shaper
  readonly #options: FlowOptions
  #reservedBytes = 0
  /** Bytes left of the turn that it has just now; undefined: it is nobody's turn in particular. */
  #turnBytes: number | undefined

  constructor(shaper: Shaper, options: FlowOptions) {
    this.#shaper = shaper
    this.#options = options
  }

  get name(): TrafficClass {
    return this.#options.classOf()
  }

  allowance(): number {
    const shaper = this.#shaper
    if (!shaper.isLimited) return Number.POSITIVE_INFINITY
    const { name } = this
    const rate = shaper.rateOf(name)
    if (rate === Number.POSITIVE_INFINITY) return rate
    const isOthers = this.#turnBytes === undefined && shaper.isContended(name)
    if (this.#turnBytes !== 0 && !isOthers && shaper.waitMs(name) === 0) {
      return this.#turnBytes ?? turnBytes(rate)
    }
    shaper.wait(this)
    return 0
  }

  spend(bytes: number): void {
    this.#shaper.spend(this.name, bytes)
    this.#options.onPassed?.(bytes)
    this.#pass(bytes)
  }

  refund(bytes: number): void {
    this.#shaper.refund(this.name, bytes)
    this.#options.onPassed?.(-bytes)
  }

  reserve(bytes: number): void {
    if (!this.#shaper.isLimited) return
    this.#reservedBytes += bytes
    this.#shaper.take(this.name, bytes)
    this.#pass(bytes)
  }

  release(bytes: number): void {
    // What was asked for before there was a limit was not reserved.
    const released = Math.min(bytes, this.#reservedBytes)
    if (released === 0) return
    this.#reservedBytes -= released
    this.#shaper.give(this.name, released)
  }

  depthMax(roundTripMs: number | undefined): number {
    if (!this.#shaper.isLimited) return Number.POSITIVE_INFINITY
    const aheadBytes = (this.#shaper.rateOf(this.name) * ((roundTripMs ?? 0) + AHEAD_MS)) / 1000
    return Math.max(2, Math.ceil(aheadBytes / BLOCK_BYTES))
  }

  close(): void {
    this.#shaper.leave(this)
    this.release(this.#reservedBytes)
  }

  takeTurn(): void {
    this.#turnBytes = turnBytes(this.#shaper.rateOf(this.name))
    this.#options.wake()
    this.#turnBytes = undefined
  }

  #pass(bytes: number): void {
    if (this.#turnBytes !== undefined) this.#turnBytes = Math.max(0, this.#turnBytes - bytes)
  }
}

function bucketOf(name: TrafficClass): BucketName {
  return name === "metered" ? "wan" : name
}

function rateFor(limit: number): BucketRate {
  const rateBytes = limit * (limit < FAST_BYTES_PER_SECOND ? SLOW_AIM : FAST_AIM)
  const excessBytes = (rateBytes * EXCESS_MS) / 1000
  const burstBytesMin = (rateBytes * BURST_MS_MIN) / 1000
  return { rateBytes, burstBytes: Math.max(excessBytes - turnBytes(rateBytes), burstBytesMin) }
}

function turnBytes(rateBytes: number): number {
  return Math.max(TURN_BYTES_MIN, (rateBytes * TURN_MS) / 1000)
}
