/**
 * Links with a rate for the in-memory network: what leaves a host waits its turn on the way up, and what
 * comes to it on the way down, segment by segment as in TCP/IP.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { ClockEvent } from "../core/virtual-clock.ts"

/** What goes onto a link in one go. */
export const SEGMENT_BYTES: number = 16 * 1024
/** Ethernet, IPv4 and TCP headers of each full frame: 1,514 bytes carry 1,448. */
const FRAME_FACTOR: number = 1514 / 1448
/** What waits before a link down at most; senders are held back beyond it, as by TCP. */
const QUEUE_MS = 50
/** … and this much however slow it is, so that it has a segment while the next one is on its way up. */
const QUEUE_BYTES_MIN: number = 3 * SEGMENT_BYTES
/** What one flow has under way at most, beyond the way's own latency. */
const FLOW_MS = 100

/** A clock that may have a cheaper way for what nobody waits for; see `VirtualClock.schedule`. */
export interface LinkClock extends Clock {
  schedule?(delayMs: number, event: ClockEvent): void
}

/** How fast a host's link is. */
export interface LinkRate {
  readonly upBytesPerSecond: number
  readonly downBytesPerSecond: number
}

/** One host's place in the network. */
export class HostLink {
  readonly rate: LinkRate
  /** Bytes that left and came, with all headers. */
  sentBytes = 0
  receivedBytes = 0
  readonly #clock: LinkClock
  readonly #flows: LinkFlow[] = []
  #turn = 0
  #isSending = false
  #isWakingSoon = false
  #downFreeMs = 0
  /** Of the first way here, and whether all others are as long. */
  #latencyMs: number | undefined
  #hasOneLatency = true
  /** Bytes on the way to this host. */
  #comingBytes = 0
  /** Hosts that had to wait, and the latency of their way: who waited longest first. */
  readonly #heldBack = new Map<HostLink, number>()

  constructor(clock: LinkClock, rate: LinkRate) {
    this.#clock = clock
    this.rate = rate
  }

  /** Opens one direction of a connection from this host to another. */
  flowTo(other: HostLink, latencyMs: number): LinkFlow {
    other.#latencyMs ??= latencyMs
    if (other.#latencyMs !== latencyMs) other.#hasOneLatency = false
    return new LinkFlow(this, other, latencyMs)
  }

  /** Puts a flow in the round of those that have something to send. */
  enqueue(flow: LinkFlow): void {
    if (!flow.isEnqueued) this.#flows.push(flow)
    flow.isEnqueued = true
    this.#wakeSoon()
  }

  /** What happens at the same moment is sent in turns that do not depend on who was first. */
  #wakeSoon(): void {
    if (this.#isWakingSoon || this.#isSending) return
    this.#isWakingSoon = true
    queueMicrotask(() => {
      this.#isWakingSoon = false
      this.#send()
    })
  }

  #send(): void {
    if (this.#isSending) return
    const flow = this.#nextFlow()
    if (flow === undefined) return
    const segment = flow.shift()
    this.sentBytes += segment.frameBytes
    this.#isSending = true
    flow.to.#comingBytes += segment.frameBytes
    this.#schedule((segment.frameBytes * 1000) / this.rate.upBytesPerSecond, segment)
  }

  /** All of a segment is out; the next one follows. */
  onSent(segment: Segment): void {
    const { to, latencyMs } = segment.flow!
    this.#isSending = false
    // Over ways of one length nothing overtakes: its place on the link down is known already.
    if (to.#hasOneLatency || latencyMs === 0) to.take(segment, latencyMs)
    else this.#schedule(latencyMs, segment)
    this.#send()
  }

  #schedule(delayMs: number, segment: Segment): void {
    const clock = this.#clock
    if (clock.schedule !== undefined) clock.schedule(delayMs, segment)
    else clock.after(delayMs, () => segment.fire())
  }

  /** The next flow that has something to send and may. */
  #nextFlow(): LinkFlow | undefined {
    const flows = this.#flows
    for (let step = 0; step < flows.length; step++) {
      const place = (this.#turn + step) % flows.length
      const flow = flows[place]!
      if (flow.isEmpty) {
        flows.splice(place, 1)
        flow.isEnqueued = false
        if (place < this.#turn) this.#turn--
        step--
        continue
      }
      if (flow.isWindowFull) continue
      if (flow.to.isCrowded(flow.latencyMs)) {
        flow.to.#heldBack.set(this, flow.latencyMs)
        continue
      }
      this.#turn = (place + 1) % flows.length
      return flow
    }
    return undefined
  }

  /** Whether more is on the way here than the way holds and a short queue. */
  isCrowded(latencyMs: number): boolean {
    const queueBytes = (this.rate.downBytesPerSecond * (QUEUE_MS + latencyMs)) / 1000
    return this.#comingBytes >= Math.max(queueBytes, QUEUE_BYTES_MIN)
  }

  /** A segment comes to the link down. @param inMs - when */
  take(segment: Segment, inMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    const lengthMs = (segment.frameBytes * 1000) / this.rate.downBytesPerSecond
    this.#downFreeMs = Math.max(this.#downFreeMs, nowMs + inMs) + lengthMs
    segment.onTheWayDown()
    this.#schedule(this.#downFreeMs - nowMs, segment)
  }

  /** All of a segment is here. */
  onReceived(segment: Segment): void {
    this.#comingBytes -= segment.frameBytes
    this.receivedBytes += segment.frameBytes
    segment.flow!.arrived(segment)
    this.#letIn()
  }

  /** There may be room: those who were held back go on, each in its turn, until it is full again. */
  #letIn(): void {
    if (this.#heldBack.size === 0) return
    // A copy: who is held back anew stands at the end.
    for (const [sender, latencyMs] of [...this.#heldBack]) {
      if (this.isCrowded(latencyMs)) continue
      this.#heldBack.delete(sender)
      sender.#send()
    }
  }
}

type Stage = "up" | "way" | "down"

/**
 * What goes onto a link in one go. One object does for all of its way: a fleet has a million of them under
 * way, and each event of its own would live long enough to be a burden.
 */
export abstract class Segment implements ClockEvent {
  dueMs = 0
  order = 0
  isQuiet = true
  readonly bytes: number
  readonly frameBytes: number
  /** Set when it is sent. */
  flow: LinkFlow | undefined
  #stage: Stage = "up"

  /** @param bytes - {@link SEGMENT_BYTES}, or a few */
  constructor(bytes: number) {
    this.bytes = bytes
    this.frameBytes = bytes * FRAME_FACTOR
  }

  /** It is there. */
  abstract deliver(): void

  onTheWayDown(): void {
    this.#stage = "down"
    this.isQuiet = false
  }

  fire(): void {
    const { from, to } = this.flow!
    if (this.#stage === "up") {
      this.#stage = "way"
      from.onSent(this)
    } else if (this.#stage === "way") to.take(this, 0)
    else to.onReceived(this)
  }
}

class PlainSegment extends Segment {
  readonly #onDelivered: () => void

  constructor(bytes: number, onDelivered: () => void) {
    super(bytes)
    this.#onDelivered = onDelivered
  }

  override deliver(): void {
    this.#onDelivered()
  }
}

/** One direction of a connection. */
export class LinkFlow {
  readonly from: HostLink
  readonly to: HostLink
  readonly latencyMs: number
  readonly #queue: Segment[] = []
  readonly #windowBytes: number
  #flyingBytes = 0
  /** Whether it stands in the round of its host. */
  isEnqueued = false

  constructor(from: HostLink, to: HostLink, latencyMs: number) {
    this.from = from
    this.to = to
    this.latencyMs = latencyMs
    const bytesPerMs = Math.min(from.rate.upBytesPerSecond, to.rate.downBytesPerSecond) / 1000
    this.#windowBytes = Math.max(bytesPerMs * (FLOW_MS + 2 * latencyMs), 4 * SEGMENT_BYTES)
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  get isWindowFull(): boolean {
    return this.#flyingBytes >= this.#windowBytes
  }

  /** Sends a segment, in order with those before it. @param bytes - {@link SEGMENT_BYTES}, or a few */
  send(bytes: number, onDelivered: () => void): void {
    this.put(new PlainSegment(bytes, onDelivered))
  }

  /** Sends a segment of a caller's own kind. */
  put(segment: Segment): void {
    segment.flow = this
    this.#queue.push(segment)
    this.from.enqueue(this)
  }

  shift(): Segment {
    const segment = this.#queue.shift()!
    this.#flyingBytes += segment.bytes
    return segment
  }

  arrived(segment: Segment): void {
    const wasFull = this.isWindowFull
    this.#flyingBytes -= segment.bytes
    segment.deliver()
    if (wasFull && !this.isEmpty) this.from.enqueue(this)
  }
}
