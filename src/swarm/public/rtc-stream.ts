/**
 * A WebRTC data channel as a byte stream, with backpressure as far as the library has it: it cannot be
 * told to stop reading, so what nobody reads is bounded instead.
 * @module
 */
import { Duplex } from "node:stream"
import type { DataChannel, PeerConnection } from "node-datachannel"

/** Longest message that is sent: browsers take 256 KiB, some older ones 64. */
const MESSAGE_BYTES_MAX = 64 * 1024
/** Above this nothing more is written, until it has fallen to the second number. */
const SENDING_BYTES_MAX = 1024 * 1024
const SENDING_BYTES_LOW = 256 * 1024
/** Received, and not yet read: a client that sends more than was asked for is let go. */
const RECEIVED_BYTES_MAX = 32 * 1024 * 1024

export class RtcStream extends Duplex {
  readonly #peer: PeerConnection
  readonly #channel: DataChannel
  #waiting: (() => void) | undefined

  /** @param channel - open */
  constructor(peer: PeerConnection, channel: DataChannel) {
    super({ allowHalfOpen: false, writableHighWaterMark: SENDING_BYTES_MAX })
    this.#peer = peer
    this.#channel = channel
    channel.setBufferedAmountLowThreshold(SENDING_BYTES_LOW)
    channel.onBufferedAmountLow(() => this.#goOn())
    channel.onMessage((message) => this.#onMessage(message))
    channel.onClosed(() => this.destroy())
    channel.onError(() => this.destroy())
    peer.onStateChange((state) => {
      if (state === "closed" || state === "failed" || state === "disconnected") this.destroy()
    })
  }

  override _read(): void {
    // Messages come by themselves.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    try {
      for (let at = 0; at < chunk.length; at += MESSAGE_BYTES_MAX) {
        this.#channel.sendMessageBinary(chunk.subarray(at, at + MESSAGE_BYTES_MAX))
      }
      if (this.#channel.bufferedAmount() <= SENDING_BYTES_MAX) done()
      else this.#waiting = done
    } catch {
      // The channel closed between two messages.
      done(new Error("the data channel is closed"))
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    closePeer(this.#peer, this.#channel)
    this.#goOn()
    done(error)
  }

  #goOn(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  #onMessage(message: string | Uint8Array | ArrayBuffer): void {
    if (this.destroyed) return
    // The wire is binary; text is nothing that a BitTorrent client sends.
    if (typeof message === "string" || this.readableLength > RECEIVED_BYTES_MAX) {
      this.destroy()
      return
    }
    this.push(message instanceof Uint8Array ? message : new Uint8Array(message))
  }
}

/** Closes a connection; one that is closed already stays so. */
export function closePeer(peer: PeerConnection, channel?: DataChannel): void {
  try {
    channel?.close()
    peer.close()
  } catch {
    // The library throws for what is closed.
  }
}
