/**
 * A libp2p stream as a Node stream, with backpressure both ways: the data channel's fallback.
 * @module
 */
import { Duplex } from "node:stream"
import type { Stream } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { CHANNEL_BUFFER_BYTES } from "./limit.ts"

/** Bytes that are sent before the rate is asked again. */
const PACED_BYTES_MAX: number = 32 * 1024

type Callback = (error?: Error | null) => void

/** How fast a stream may send. */
export interface Pacing {
  readonly clock: Clock
  /** Takes bytes that were sent. @returns how long to wait before the next ones, milliseconds */
  readonly pace: (bytes: number) => number
}

class StreamDuplex extends Duplex {
  readonly #stream: Stream
  readonly #pacing: Pacing | undefined
  #waiting: Callback | undefined
  #isFull = false

  constructor(stream: Stream, pacing: Pacing | undefined) {
    super({ highWaterMark: CHANNEL_BUFFER_BYTES, allowHalfOpen: false })
    this.#stream = stream
    this.#pacing = pacing
    stream.addEventListener("message", (event) => {
      const parts = event.data instanceof Uint8Array ? [event.data] : event.data
      let hasRoom = true
      for (const part of parts) hasRoom = this.push(part)
      this.#isFull = !hasRoom
      if (this.#isFull) queueMicrotask(() => this.#pause())
    })
    stream.addEventListener("end", () => this.push(null))
    stream.addEventListener("close", (event) => {
      if (event.error !== undefined) this.destroy(event.error)
      // What came before the end is still to be read: `end` follows when it was.
      else if (stream.readBufferLength === 0) this.push(null)
    })
    if (stream.readableEnded) this.push(null)
    // Later, for a stream that says it is idle is still sending: what is sent or closed then hangs.
    stream.addEventListener("idle", () => queueMicrotask(() => this.#goOn()))
  }

  /** Later, for pausing a stream inside its own `resume` leaves its window open (yamux 8). */
  #pause(): void {
    if (this.#isFull && this.#stream.readStatus === "readable") this.#stream.pause()
  }

  override _read(): void {
    this.#isFull = false
    if (this.#stream.readStatus === "paused") this.#stream.resume()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: Callback): void {
    if (this.#pacing === undefined) this.#send(chunk, callback)
    else this.#sendPaced(chunk, this.#pacing, callback)
  }

  /** In small parts, so that what else goes to this peer need not wait long between them. */
  #sendPaced(chunk: Uint8Array, pacing: Pacing, callback: Callback): void {
    const part = chunk.subarray(0, PACED_BYTES_MAX)
    const rest = chunk.subarray(PACED_BYTES_MAX)
    this.#send(part, (error) => {
      if (error != null) return callback(error)
      const waitMs = pacing.pace(part.length)
      const goOn = () => {
        if (rest.length === 0) callback()
        else this.#sendPaced(rest, pacing, callback)
      }
      if (waitMs > 0) pacing.clock.after(waitMs, goOn)
      else queueMicrotask(goOn)
    })
  }

  #send(chunk: Uint8Array, callback: Callback): void {
    try {
      // A copy: libp2p keeps what it cannot send yet, and the writer may use its buffer again.
      this.#stream.send(Uint8Array.from(chunk))
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)))
      return
    }
    // Not `onDrain`: from its second use on it resolves at once (libp2p 3.3), and nothing waits.
    if (this.#stream.writeBufferLength === 0) callback()
    else this.#waiting = callback
  }

  #goOn(): void {
    const callback = this.#waiting
    this.#waiting = undefined
    callback?.()
  }

  override _final(callback: Callback): void {
    this.#stream.close().then(() => callback(), callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    if (this.#stream.status === "open" || this.#stream.status === "closing") {
      const isDone = this.readableEnded && this.writableFinished
      if (!isDone) this.#stream.abort(error ?? new Error("the channel was closed"))
    }
    callback(error)
  }
}

/** Wraps a stream whose protocol has been agreed on. */
export function streamToDuplex(stream: Stream, pacing?: Pacing): Duplex {
  const duplex = new StreamDuplex(stream, pacing)
  // An error closes the stream, and its owner sees that; it may have no listener for errors.
  duplex.on("error", () => {})
  return duplex
}
