/**
 * Links with a rate for the in-memory network: what leaves a host waits its turn on the way up, and what
 * comes to it on the way down, segment by segment as in TCP/IP.
 * @module
 */
import type { Clock } from "../core/clock.ts"

/** What goes onto a link in one go. */
export const SEGMENT_BYTES: number = 16 * 1024
/** Ethernet, IPv4 and TCP headers of each full frame: 1,514 bytes carry 1,448. */
const FRAME_FACTOR: number = 1514 / 1448
/** What waits before a link down at most; senders are held back beyond it, as by TCP. */
const QUEUE_MS = 50
/** What one flow has under way at most, beyond the way's own latency. */
const FLOW_MS = 100

/** A clock that may have a cheaper way for what nobody waits for; see `VirtualClock.afterQuietly`. */
export interface LinkClock extends Clock {
  afterQuietly?(delayMs: number, callback: () => void): void
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
    const frameBytes = segment.bytes * FRAME_FACTOR
    this.sentBytes += frameBytes
    this.#isSending = true
    flow.to.#comingBytes += frameBytes
    this.#quietly((frameBytes * 1000) / this.rate.upBytesPerSecond, () => {
      this.#isSending = false
      if (flow.latencyMs === 0) flow.to.#take(flow, segment, frameBytes)
      else this.#quietly(flow.latencyMs, () => flow.to.#take(flow, segment, frameBytes))
      this.#send()
    })
  }

  #quietly(delayMs: number, callback: () => void): void {
    const clock = this.#clock
    if (clock.afterQuietly === undefined) clock.after(delayMs, callback)
    else clock.afterQuietly(delayMs, callback)
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
    return this.#comingBytes * 1000 >= this.rate.downBytesPerSecond * (QUEUE_MS + latencyMs)
  }

  /** A segment came to the link down. */
  #take(flow: LinkFlow, segment: Segment, frameBytes: number): void {
    const nowMs = this.#clock.monotonicMs()
    this.#downFreeMs =
      Math.max(this.#downFreeMs, nowMs) + (frameBytes * 1000) / this.rate.downBytesPerSecond
    this.#clock.after(this.#downFreeMs - nowMs, () => {
      this.#comingBytes -= frameBytes
      this.receivedBytes += frameBytes
      flow.arrived(segment)
      this.#letIn()
    })
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

interface Segment {
  readonly bytes: number
  readonly deliver: () => void
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
  send(bytes: number, deliver: () => void): void {
    this.#queue.push({ bytes, deliver })
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
