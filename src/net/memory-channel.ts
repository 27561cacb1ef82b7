/**
 * Two connected byte streams in memory, with the backpressure and the endings of a socket.
 * @module
 */
import { Duplex } from "node:stream"
import type { Clock } from "../core/clock.ts"
import { CHANNEL_BUFFER_BYTES } from "./limit.ts"
import { type LinkFlow, SEGMENT_BYTES } from "./memory-link.ts"

type Callback = (error?: Error | null) => void

/** What a kernel takes of a slow connection before it lets the writer wait. */
export const SLOW_BUFFER_BYTES: number = 128 * 1024

/** One end. What is written comes out of the other end, copied, after the latency. */
class MemoryEnd extends Duplex {
  readonly #later: (callback: () => void) => void
  #other: MemoryEnd | undefined
  #flyingBytes = 0
  #waiting: Callback[] = []
  #waitToWrite: Callback | undefined
  readonly #onSent: (bytes: number) => void
  /** The link that it is sent over; without one only the latency counts. */
  readonly #flow: LinkFlow | undefined
  readonly #bufferBytes: number

  constructor(later: (callback: () => void) => void, onSent: OnSent, flow: LinkFlow | undefined) {
    super({ highWaterMark: CHANNEL_BUFFER_BYTES, allowHalfOpen: false })
    this.#later = later
    this.#onSent = onSent
    this.#flow = flow
    this.#bufferBytes = flow === undefined ? CHANNEL_BUFFER_BYTES : SLOW_BUFFER_BYTES
  }

  pairWith(other: MemoryEnd): void {
    this.#other = other
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: Callback): void {
    const other = this.#other
    if (other === undefined || other.destroyed) {
      callback(pipeBroken())
      return
    }
    // A copy, as in a socket: the writer may use its buffer again after the callback.
    const copy = Buffer.from(chunk)
    this.#onSent(copy.length)
    this.#flyingBytes += copy.length
    const flow = this.#flow
    if (flow === undefined) this.#later(() => this.#arrive(other, copy))
    else {
      for (let start = 0; start < copy.length; start += SEGMENT_BYTES) {
        const part = copy.subarray(start, start + SEGMENT_BYTES)
        flow.send(part.length, () => this.#arrive(other, part))
      }
    }
    if (this.#flyingBytes < this.#bufferBytes && other.#waiting.length === 0) callback()
    else this.#waitToWrite = callback
  }

  #arrive(other: MemoryEnd, part: Buffer): void {
    this.#flyingBytes -= part.length
    if (other.destroyed || other.push(part)) this.#goOn()
    else other.#waiting.push(() => this.#goOn())
  }

  #goOn(): void {
    if (this.#flyingBytes >= this.#bufferBytes) return
    const callback = this.#waitToWrite
    this.#waitToWrite = undefined
    callback?.()
  }

  override _read(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const callback of waiting) callback()
  }

  override _final(callback: Callback): void {
    this.#endOther()
    callback()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this._read()
    if (error === null) this.#endOther()
    else this.#later(() => this.#other?.destroy(connectionReset()))
    callback(error)
  }

  #endOther(): void {
    this.#later(() => {
      const other = this.#other
      if (other !== undefined && !other.destroyed && !other.readableEnded) other.push(null)
    })
  }
}

/** What is told about each end's written bytes. */
type OnSent = (bytes: number) => void

/** Gives both ends of a new stream; `latencyMs` 0 passes bytes on at once. */
export function createMemoryDuplexPair(
  deps: { clock: Clock; onSent: readonly [OnSent, OnSent] },
  options: { latencyMs: number; flows?: readonly [LinkFlow, LinkFlow] | undefined },
): [Duplex, Duplex] {
  const { latencyMs } = options
  const later = (callback: () => void): void => {
    if (latencyMs > 0) deps.clock.after(latencyMs, callback)
    else setImmediate(callback)
  }
  const left = new MemoryEnd(later, deps.onSent[0], options.flows?.[0])
  const right = new MemoryEnd(later, deps.onSent[1], options.flows?.[1])
  left.pairWith(right)
  right.pairWith(left)
  return [left, right]
}

function pipeBroken(): Error {
  return Object.assign(new Error("the other end is closed"), { code: "EPIPE" })
}

function connectionReset(): Error {
  return Object.assign(new Error("the other end was cut"), { code: "ECONNRESET" })
}
