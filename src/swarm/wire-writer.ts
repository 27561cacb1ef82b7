/**
 * Writes the BitTorrent wire in batches: small messages gather until the end of the turn, blocks go
 * out many at a time in one buffer.
 * @module
 */
import type { Duplex } from "node:stream"
import { assert } from "../core/errors.ts"
import { EXTENDED, MESSAGE, REQUEST_BYTES } from "./wire-messages.ts"

/** Small messages gather in buffers of this length. */
const CHUNK_BYTES = 8 * 1024
/** A peer that takes no small messages for this many bytes is cut off. */
const SMALL_PENDING_BYTES_MAX = 16 * 1024 * 1024
/** Length of a `context` message. */
const CONTEXT_BYTES = 10

/** The sending half of one connection. */
export class WireWriter {
  readonly #duplex: Duplex
  readonly #hasContexts: boolean
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  #start = 0
  #end = 0
  readonly #onSmall: ((bytes: number) => void) | undefined
  readonly #soon: (flush: () => void) => void
  #context: number | undefined
  #isScheduled = false
  /** Bytes of blocks handed to the stream and not yet taken by it. */
  blockPendingBytes = 0

  /**
   * @param options.hasContexts - whether several torrents share the connection
   * (protocol/wire-extension.md)
   * @param options.onSmall - told of all bytes that are not blocks
   * @param options.soon - puts off a flush, in which all messages until then go together; to the end of
   * the running task unless given
   */
  constructor(
    duplex: Duplex,
    options: {
      hasContexts: boolean
      onSmall?: ((bytes: number) => void) | undefined
      soon?: (flush: () => void) => void
    },
  ) {
    this.#duplex = duplex
    this.#onSmall = options.onSmall
    this.#soon = options.soon ?? queueMicrotask
    this.#hasContexts = options.hasContexts
  }

  /** True when the peer reads nothing any more and small messages pile up. */
  get isClogged(): boolean {
    return this.smallPendingBytes > SMALL_PENDING_BYTES_MAX
  }

  /** Bytes of small messages that the stream has not taken yet. */
  get smallPendingBytes(): number {
    return this.#duplex.writableLength - this.blockPendingBytes
  }

  /** Sends bytes as they are: the handshake. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length)
    this.#chunk.set(bytes, at)
  }

  /** Sends a message without a body. */
  signal(torrent: number, id: number): void {
    this.#enter(torrent)
    const at = this.#reserve(5)
    this.#chunk.writeUInt32BE(1, at)
    this.#chunk[at + 4] = id
  }

  have(torrent: number, index: number): void {
    this.#indexed(torrent, MESSAGE.have, index)
  }

  suggest(torrent: number, index: number): void {
    this.#indexed(torrent, MESSAGE.suggest, index)
  }

  #indexed(torrent: number, id: number, index: number): void {
    this.#enter(torrent)
    const at = this.#reserve(9)
    this.#chunk.writeUInt32BE(5, at)
    this.#chunk[at + 4] = id
    this.#chunk.writeUInt32BE(index, at + 5)
  }

  /** Sends a message about a block: request, cancel or reject. */
  blockMessage(torrent: number, id: number, index: number, begin: number, length: number): void {
    this.#enter(torrent)
    const at = this.#reserve(REQUEST_BYTES)
    const chunk = this.#chunk
    chunk.writeUInt32BE(REQUEST_BYTES - 4, at)
    chunk[at + 4] = id
    chunk.writeUInt32BE(index, at + 5)
    chunk.writeUInt32BE(begin, at + 9)
    chunk.writeUInt32BE(length, at + 13)
  }

  bitfield(torrent: number, bytes: Uint8Array): void {
    this.#enter(torrent)
    const at = this.#reserve(5 + bytes.length)
    this.#chunk.writeUInt32BE(1 + bytes.length, at)
    this.#chunk[at + 4] = MESSAGE.bitfield
    this.#chunk.set(bytes, at + 5)
  }

  /**
   * Sends an extended message (BEP 10).
   * @param torrent - given when the message speaks of the torrent that the context names
   */
  extended(id: number, payload: Uint8Array, torrent?: number): void {
    if (torrent !== undefined) this.#enter(torrent)
    const at = this.#reserve(6 + payload.length)
    this.#chunk.writeUInt32BE(2 + payload.length, at)
    this.#chunk[at + 4] = MESSAGE.extended
    this.#chunk[at + 5] = id
    this.#chunk.set(payload, at + 6)
  }

  /**
   * Sends whole `piece` messages that stand in one buffer.
   * @param onTaken - called when the buffer may be used again
   */
  blocks(torrent: number, messages: Uint8Array, onTaken: () => void): void {
    this.#enter(torrent)
    this.flush()
    const { length } = messages
    this.blockPendingBytes += length
    this.#duplex.write(messages, () => {
      this.blockPendingBytes -= length
      onTaken()
    })
  }

  /** Hands all small messages to the stream now. */
  flush(): void {
    if (this.#end === this.#start) return
    const part = this.#chunk.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#onSmall?.(part.length)
    if (!this.#duplex.destroyed && !this.#duplex.writableEnded) this.#duplex.write(part)
  }

  /** Says which torrent the following standard messages speak of, when it is not the last one. */
  #enter(torrent: number): void {
    if (!this.#hasContexts || this.#context === torrent) return
    this.#context = torrent
    const at = this.#reserve(CONTEXT_BYTES)
    this.#chunk.writeUInt32BE(CONTEXT_BYTES - 4, at)
    this.#chunk[at + 4] = MESSAGE.extended
    this.#chunk[at + 5] = EXTENDED.context
    this.#chunk.writeUInt32BE(torrent, at + 6)
  }

  /** Makes room for a message. @returns where it begins in the chunk */
  #reserve(length: number): number {
    if (this.#end + length > this.#chunk.length) {
      this.flush()
      // The stream may still hold the old chunk, so it is never written again.
      this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, length))
      this.#start = 0
      this.#end = 0
    }
    this.#schedule()
    const at = this.#end
    this.#end += length
    assert(this.#end <= this.#chunk.length, "a message past its chunk")
    return at
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#soon(() => {
      this.#isScheduled = false
      this.flush()
    })
  }
}
