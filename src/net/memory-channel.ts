/**
 * Two connected byte streams in memory, with the backpressure and the endings of a socket.
 * @module
 */
import { Duplex } from "node:stream"
import type { Clock } from "../core/clock.ts"
import { CHANNEL_BUFFER_BYTES } from "./limit.ts"

type Callback = (error?: Error | null) => void

/** One end. What is written comes out of the other end, copied, after the latency. */
class MemoryEnd extends Duplex {
  readonly #later: (callback: () => void) => void
  #other: MemoryEnd | undefined
  #flyingBytes = 0
  #waiting: Callback[] = []
  #waitToWrite: Callback | undefined
  readonly #onSent: (bytes: number) => void

  constructor(later: (callback: () => void) => void, onSent: (bytes: number) => void) {
    super({ highWaterMark: CHANNEL_BUFFER_BYTES, allowHalfOpen: false })
    this.#later = later
    this.#onSent = onSent
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
    this.#later(() => {
      this.#flyingBytes -= copy.length
      if (other.destroyed || other.push(copy)) return this.#goOn()
      other.#waiting.push(() => this.#goOn())
    })
    if (this.#flyingBytes < CHANNEL_BUFFER_BYTES && other.#waiting.length === 0) callback()
    else this.#waitToWrite = callback
  }

  #goOn(): void {
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
  options: { latencyMs: number },
): [Duplex, Duplex] {
  const { latencyMs } = options
  const later = (callback: () => void): void => {
    if (latencyMs > 0) deps.clock.after(latencyMs, callback)
    else setImmediate(callback)
  }
  const left = new MemoryEnd(later, deps.onSent[0])
  const right = new MemoryEnd(later, deps.onSent[1])
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
