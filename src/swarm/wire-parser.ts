/**
 * Reads the BitTorrent wire as a state machine over chunks of any size. The payload of a block is
 * copied once, straight to where its piece is put together.
 * @module
 */
import { PIECE_BYTES_MAX } from "../core/limits.ts"
import type { WireFault, WireFaultCode } from "./errors.ts"
import { HeldBytes } from "./held-bytes.ts"
import {
  HANDSHAKE_BYTES,
  type Handshake,
  MESSAGE,
  PIECE_HEAD_BYTES,
  parseHandshake,
} from "./wire-messages.ts"

/** Said by {@link WireSink.onBlock}: there is no room now, stop until `resume`. */
export const WAIT: unique symbol = Symbol("wait")

/** Takes what the parser finds. Each method may return a fault to give the connection up. */
export interface WireSink {
  onHandshake(handshake: Handshake): WireFault | undefined
  /** A message without a body: choke, unchoke, interested, notInterested, haveAll, haveNone. */
  onSignal(id: number): WireFault | undefined
  onHave(index: number): WireFault | undefined
  /** What the other side would have us ask for next (BEP 6). */
  onSuggest(index: number): WireFault | undefined
  /** @param bytes - a copy of its own */
  onBitfield(bytes: Uint8Array): WireFault | undefined
  /** A message about a block: request, cancel, reject. */
  onBlockMessage(id: number, index: number, begin: number, length: number): WireFault | undefined
  /** @param payload - a copy of its own, without the extended id */
  onExtended(id: number, payload: Uint8Array): WireFault | undefined
  /** Where the block's bytes go: exactly `length` bytes, or undefined to throw them away. */
  onBlock(index: number, begin: number, length: number): Uint8Array | undefined | typeof WAIT
  /** All bytes of the block of the last {@link onBlock} are there. */
  onBlockEnd(): WireFault | undefined
}

/** Longest extended message: a full batch of a live piece list fits, and BEP 9's 16 KiB. */
export const EXTENDED_BYTES_MAX: number = 256 * 1024
/** Longest bitfield: that of the largest blob, 1 TiB in pieces of 4 MiB. */
const BITFIELD_BYTES_MAX = 32 * 1024
/** Messages of unknown kinds are skipped up to this length (BEP 3 lets new kinds appear). */
const UNKNOWN_BYTES_MAX = 64 * 1024

const LENGTH_BYTES = 4
const TYPED_BYTES = 5

type State = "handshake" | "length" | "type" | "small" | "block-head" | "block" | "large" | "skip"

/** Length that the body of a message must have, the id included. */
const FIXED_LENGTHS: Readonly<Record<number, number>> = {
  [MESSAGE.choke]: 1,
  [MESSAGE.unchoke]: 1,
  [MESSAGE.interested]: 1,
  [MESSAGE.notInterested]: 1,
  [MESSAGE.have]: 5,
  [MESSAGE.request]: 13,
  [MESSAGE.cancel]: 13,
  [MESSAGE.port]: 3,
  [MESSAGE.suggest]: 5,
  [MESSAGE.haveAll]: 1,
  [MESSAGE.haveNone]: 1,
  [MESSAGE.reject]: 13,
  [MESSAGE.allowedFast]: 5,
}

/** One direction of one connection. */
export class WireParser {
  readonly #sink: WireSink
  #state: State = "handshake"
  /** The fixed-length beginning of the current message, as far as it came. */
  readonly #head = Buffer.alloc(HANDSHAKE_BYTES)
  #headLength = 0
  #headWanted = HANDSHAKE_BYTES
  /** Bytes of the current message that are still to come, after the head. */
  #left = 0
  #target: Uint8Array | undefined
  #targetAt = 0
  readonly #held = new HeldBytes()
  #isWaiting = false
  #fault: WireFault | undefined

  constructor(sink: WireSink) {
    this.#sink = sink
  }

  /**
   * Takes the next bytes.
   * @returns `wait` when the sink has no room (keep further bytes back until {@link resume}), a fault
   * when the connection must be given up (everything after it is ignored), undefined when all is read
   */
  feed(chunk: Uint8Array): "wait" | WireFault | undefined {
    if (this.#fault !== undefined) return this.#fault
    if (this.#isWaiting) {
      this.#held.add(asBuffer(chunk))
      return "wait"
    }
    return this.#run(asBuffer(chunk))
  }

  /** Goes on after `wait`. */
  resume(): "wait" | WireFault | undefined {
    if (!this.#isWaiting) return this.#fault
    if (this.#beginBlock() !== undefined) return "wait"
    this.#isWaiting = false
    return this.#run(this.#held.take())
  }

  /** The place that {@link WireSink.onBlock} gave is taken away: the rest of the block is ignored. */
  discardBlock(): void {
    if (this.#state !== "block") return
    this.#state = "skip"
    this.#target = undefined
  }

  #run(chunk: Buffer): "wait" | WireFault | undefined {
    let at = 0
    const end = chunk.length
    while (at < end) {
      if (this.#state === "block" || this.#state === "large") at += this.#copy(chunk, at)
      else if (this.#state === "skip") at += this.#skip(end - at)
      else at += this.#collect(chunk, at)
      if (this.#fault !== undefined) return this.#fault
      if (this.#headLength < this.#headWanted) continue
      const wait = this.#onHead()
      if (wait !== undefined) {
        this.#isWaiting = true
        // A copy: the chunk may be lent for this call only.
        this.#held.add(chunk.subarray(at))
        return "wait"
      }
      if (this.#fault !== undefined) return this.#fault
    }
    return undefined
  }

  #collect(chunk: Uint8Array, at: number): number {
    const count = Math.min(this.#headWanted - this.#headLength, chunk.length - at)
    const head = this.#head
    const from = this.#headLength
    // A head is a few bytes: a loop beats a call into the runtime.
    for (let index = 0; index < count; index++) head[from + index] = chunk[at + index]!
    this.#headLength = from + count
    return count
  }

  #copy(chunk: Buffer, at: number): number {
    const count = Math.min(this.#left, chunk.length - at)
    // Into shared memory `copy` is five times as fast as `set`, which goes word by word there.
    chunk.copy(this.#target!, this.#targetAt, at, at + count)
    this.#targetAt += count
    this.#left -= count
    if (this.#left === 0) this.#onPayloadEnd()
    return count
  }

  #skip(available: number): number {
    const count = Math.min(this.#left, available)
    this.#left -= count
    if (this.#left === 0) this.#nextMessage()
    return count
  }

  #onPayloadEnd(): void {
    const target = this.#target!
    const isBlock = this.#state === "block"
    const id = this.#head[LENGTH_BYTES]!
    this.#target = undefined
    this.#nextMessage()
    if (isBlock) this.#fault = this.#sink.onBlockEnd()
    else if (id === MESSAGE.bitfield) this.#fault = this.#sink.onBitfield(target)
    else this.#fault = this.#sink.onExtended(target[0]!, target.subarray(1))
  }

  #nextMessage(): undefined {
    this.#want("length", LENGTH_BYTES)
    this.#headLength = 0
    return undefined
  }

  #want(state: State, headBytes: number): void {
    this.#state = state
    this.#headWanted = headBytes
  }

  /** Acts on a complete head. */
  #onHead(): "wait" | undefined {
    switch (this.#state) {
      case "handshake":
        this.#onHandshake()
        return undefined
      case "length":
        if (this.#head.readUInt32BE(0) === 0) this.#nextMessage()
        else this.#want("type", TYPED_BYTES)
        return undefined
      case "type":
        this.#onType(this.#head[LENGTH_BYTES]!, this.#head.readUInt32BE(0))
        return undefined
      case "small":
        this.#onSmall(this.#head[LENGTH_BYTES]!)
        return undefined
      case "block-head":
        return this.#beginBlock()
      default:
        return undefined
    }
  }

  #onHandshake(): undefined {
    const handshake = parseHandshake(this.#head)
    if (handshake === undefined) return this.#fail("HANDSHAKE_INVALID", "no BitTorrent handshake")
    this.#nextMessage()
    this.#fault = this.#sink.onHandshake(handshake)
  }

  #onType(id: number, length: number): undefined {
    const fixed = FIXED_LENGTHS[id]
    if (fixed !== undefined) {
      if (fixed !== length) return this.#failLength(id, length)
      if (length > 1) this.#want("small", LENGTH_BYTES + length)
      else this.#onSmall(id)
    } else if (id === MESSAGE.piece) {
      const isPossible = length > 9 && length - 9 <= PIECE_BYTES_MAX
      if (!isPossible) return this.#failLength(id, length)
      this.#want("block-head", PIECE_HEAD_BYTES)
    } else if (id === MESSAGE.bitfield || id === MESSAGE.extended) {
      this.#onLarge(id, length)
    } else {
      if (length > UNKNOWN_BYTES_MAX) return this.#failLength(id, length)
      this.#beginSkip(length - 1)
    }
  }

  #onLarge(id: number, length: number): undefined {
    const isBitfield = id === MESSAGE.bitfield
    const lengthMax = isBitfield ? BITFIELD_BYTES_MAX : EXTENDED_BYTES_MAX
    if (length < 2 || length - 1 > lengthMax) return this.#failLength(id, length)
    this.#left = length - 1
    this.#target = new Uint8Array(this.#left)
    this.#targetAt = 0
    this.#want("large", 0)
    this.#headWanted = Number.POSITIVE_INFINITY
  }

  #onSmall(id: number): void {
    const sink = this.#sink
    this.#nextMessage()
    if (id === MESSAGE.have) this.#fault = sink.onHave(this.#head.readUInt32BE(5))
    else if (id === MESSAGE.suggest) this.#fault = sink.onSuggest(this.#head.readUInt32BE(5))
    else if (id === MESSAGE.request || id === MESSAGE.cancel || id === MESSAGE.reject) {
      const [index, begin] = [this.#head.readUInt32BE(5), this.#head.readUInt32BE(9)]
      this.#fault = sink.onBlockMessage(id, index, begin, this.#head.readUInt32BE(13))
    } else if (id <= MESSAGE.notInterested || id === MESSAGE.haveAll || id === MESSAGE.haveNone) {
      this.#fault = sink.onSignal(id)
    }
    // port and allowedFast say nothing to us.
  }

  #beginBlock(): "wait" | undefined {
    const length = this.#head.readUInt32BE(0) - 9
    const target = this.#sink.onBlock(
      this.#head.readUInt32BE(5),
      this.#head.readUInt32BE(9),
      length,
    )
    if (target === WAIT) return "wait"
    if (target === undefined) return this.#beginSkip(length)
    this.#left = length
    this.#target = target
    this.#targetAt = 0
    this.#want("block", 0)
    this.#headWanted = Number.POSITIVE_INFINITY
    return undefined
  }

  #beginSkip(length: number): undefined {
    if (length === 0) return this.#nextMessage()
    this.#left = length
    this.#want("skip", 0)
    this.#headWanted = Number.POSITIVE_INFINITY
  }

  #failLength(id: number, length: number): undefined {
    return this.#fail("MESSAGE_LENGTH_INVALID", `message ${id} of ${length} bytes`)
  }

  #fail(code: WireFaultCode, message: string): undefined {
    this.#fault = { code, message }
    return undefined
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
