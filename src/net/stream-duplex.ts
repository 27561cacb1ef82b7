/**
 * A libp2p stream as a Node stream, with backpressure both ways: the data channel's fallback.
 * @module
 */
import { Duplex } from "node:stream"
import type { Stream } from "@libp2p/interface"
import { CHANNEL_BUFFER_BYTES } from "./limit.ts"

type Callback = (error?: Error | null) => void

class StreamDuplex extends Duplex {
  readonly #stream: Stream
  #waiting: Callback | undefined
  #isFull = false

  constructor(stream: Stream) {
    super({ highWaterMark: CHANNEL_BUFFER_BYTES, allowHalfOpen: false })
    this.#stream = stream
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
export function streamToDuplex(stream: Stream): Duplex {
  const duplex = new StreamDuplex(stream)
  // An error closes the stream, and its owner sees that; it may have no listener for errors.
  duplex.on("error", () => {})
  return duplex
}
