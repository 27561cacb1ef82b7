/**
 * Two connected byte streams for simulations of many nodes: what the wire uses of Node's streams and
 * nothing else, at a tenth of the cost, over links that count what the bytes stand for.
 * @module
 */
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { SLOW_BUFFER_BYTES } from "../../src/net/memory-channel.ts"
import { type LinkFlow, Segment } from "../../src/net/memory-link.ts"
import type { ChannelEnd, ChannelMaker } from "../../src/net/memory-network.ts"

type Listener = (error?: Error) => void
type Sink = (bytes: Uint8Array) => void
type EventName = "error" | "end" | "close"

interface Write {
  readonly bytes: Uint8Array
  readonly onTaken: (() => void) | undefined
}

/** What a channel costs on the way. */
export interface ChannelWeight {
  /** Bytes of a write, as they are to be counted. */
  weigh(bytes: Buffer): number
  /** Real bytes that go onto a link in one go. */
  readonly segmentBytes: number
}

/** A part of a write on its way. */
class Part extends Segment {
  readonly #end: LightEnd
  readonly #bytes: Uint8Array

  constructor(end: LightEnd, bytes: Uint8Array, weight: number) {
    super(weight)
    this.#end = end
    this.#bytes = bytes
  }

  override deliver(): void {
    this.#end.arrived(this.#bytes, this.bytes)
  }
}

/** One end: see `Duplex` for what each member means. */
class LightEnd {
  destroyed = false
  writableEnded = false
  writableLength = 0
  readonly #clock: Clock
  readonly #flow: LinkFlow
  readonly #weight: ChannelWeight
  readonly #listeners: [EventName, Listener][] = []
  #other: LightEnd | undefined
  #sink: Sink | undefined
  readonly #writes: Write[] = []
  #flyingBytes = 0
  #isFull = false
  #isPaused = false
  #isOver = false
  #isFinished = false
  readonly #inbox: Uint8Array[] = []

  constructor(deps: { clock: Clock; flow: LinkFlow; weight: ChannelWeight }) {
    this.#clock = deps.clock
    this.#flow = deps.flow
    this.#weight = deps.weight
  }

  pairWith(other: LightEnd): void {
    this.#other = other
  }

  on(event: EventName, listener: Listener): this {
    this.#listeners.push([event, listener])
    return this
  }

  once(event: EventName, listener: Listener): this {
    return this.on(event, listener)
  }

  /** Gives all bytes that come from now on. */
  read(sink: Sink): void {
    this.#sink = sink
    queueMicrotask(() => this.#deliver())
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#deliver()
  }

  write(bytes: Uint8Array, onTaken?: () => void): boolean {
    if (this.destroyed || this.writableEnded) return false
    this.writableLength += bytes.length
    this.#writes.push({ bytes, onTaken })
    if (!this.#isFull) this.#send()
    return this.#isFull
  }

  end(onEnded?: () => void): void {
    if (this.writableEnded || this.destroyed) return
    this.writableEnded = true
    this.#finish()
    if (onEnded !== undefined) queueMicrotask(onEnded)
  }

  destroy(error?: Error): void {
    if (this.destroyed) return
    if (error === undefined) this.#finish()
    else this.#clock.after(this.#flow.latencyMs, () => this.#other?.onOver())
    this.destroyed = true
    this.#writes.length = 0
    this.#inbox.length = 0
    queueMicrotask(() => {
      if (error !== undefined) this.#emit("error", error)
      this.#emit("close")
    })
  }

  /** Sends what waits, as far as a kernel would take it. */
  #send(): void {
    while (this.#writes.length > 0) {
      const { bytes, onTaken } = this.#writes.shift()!
      this.writableLength -= bytes.length
      // A copy, as in a socket: the writer may use its buffer again after the callback. Without one it
      // would never know when.
      this.#cut(onTaken === undefined ? (bytes as Buffer) : Buffer.from(bytes))
      this.#isFull = this.#flyingBytes >= SLOW_BUFFER_BYTES
      if (onTaken !== undefined) this.#tell(onTaken)
      if (this.#isFull) return
    }
  }

  #onTakenLater: (() => void) | undefined

  #tell(onTaken: () => void): void {
    if (this.#isFull) this.#onTakenLater = onTaken
    else queueMicrotask(onTaken)
  }

  /** Cuts a write into segments by what it weighs; each carries its part of the bytes. */
  #cut(bytes: Buffer): void {
    const { weigh, segmentBytes } = this.#weight
    const weight = weigh(bytes)
    // A head of a few bytes is no segment of its own.
    const count = Math.max(1, Math.round(weight / segmentBytes))
    this.#flyingBytes += weight
    for (let place = 0; place < count; place++) {
      const from = Math.floor((place * bytes.length) / count)
      const to = Math.floor(((place + 1) * bytes.length) / count)
      const part = count === 1 ? bytes : bytes.subarray(from, to)
      const partWeight = place === count - 1 ? weight - place * segmentBytes : segmentBytes
      this.#flow.put(new Part(this, part, partWeight))
    }
  }

  arrived(part: Uint8Array, weight: number): void {
    this.#flyingBytes -= weight
    this.#other?.take(part)
    if (!this.#isFull || this.#flyingBytes >= SLOW_BUFFER_BYTES) return
    this.#isFull = false
    const onTaken = this.#onTakenLater
    this.#onTakenLater = undefined
    if (onTaken !== undefined) queueMicrotask(onTaken)
    this.#send()
  }

  take(part: Uint8Array): void {
    if (this.destroyed || this.#isOver) return
    if (this.#sink === undefined || this.#isPaused || this.#inbox.length > 0) {
      this.#inbox.push(part)
    } else this.#sink(part)
  }

  #deliver(): void {
    while (!this.#isPaused && this.#sink !== undefined && !this.destroyed) {
      const part = this.#inbox.shift()
      if (part === undefined) return
      this.#sink(part)
    }
  }

  /** The other end hears of the end after all that was sent before. */
  #finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#flow.send(0, () => this.#other?.onOver())
  }

  onOver(): void {
    if (this.destroyed || this.#isOver) return
    this.#isOver = true
    this.#emit("end")
  }

  #emit(event: EventName, error?: Error): void {
    for (const [name, listener] of [...this.#listeners]) if (name === event) listener(error)
  }
}

/** Makes channels between nodes that have links; `onSent` is not called, `weigh` counts. */
export function lightChannels(weights: (flow: LinkFlow) => ChannelWeight): ChannelMaker {
  return ({ clock }, { flows }) => {
    if (flows === undefined) throw new TypeError("both nodes need a link")
    const [left, right] = flows.map(
      (flow) => new LightEnd({ clock, flow, weight: weights(flow) }),
    ) as [LightEnd, LightEnd]
    left.pairWith(right)
    right.pairWith(left)
    return [endOf(left), endOf(right)]
  }
}

function endOf(end: LightEnd): ChannelEnd {
  // The wire uses these members of a stream and no others; a simulation would notice.
  return { duplex: end as unknown as Duplex, borrow: (sink) => end.read(sink) }
}
