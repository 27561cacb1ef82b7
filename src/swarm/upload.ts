/**
 * One blob as it is served to one peer: what it was told, what it asked for, and whether it is let.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import { pieceRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobReader } from "../store/store.ts"
import type { WireFault } from "./errors.ts"
import type { SignedBatch } from "./live-list.ts"
import { RequestRing } from "./request-ring.ts"
import type { SuperSeeding } from "./super-seeding.ts"
import { REQUESTS_QUEUED_MAX } from "./wire-extension.ts"
import { MESSAGE, PIECE_HEAD_BYTES, SERVED_BLOCK_BYTES_MAX } from "./wire-messages.ts"
import type { WireWriter } from "./wire-writer.ts"

/** Requests that are let pass although they ask for what was never told, before it is a fault. */
const WRONG_REQUESTS_MAX = 10_000

/** A run of contiguous requests, and the buffer that will hold their messages. */
export interface Batch {
  readonly upload: Upload
  readonly count: number
  readonly start: number
  readonly messages: Uint8Array
  /** The parts of `messages` between the heads. */
  readonly targets: readonly Uint8Array[]
  readonly blockBytes: number
  /** {@link Upload.lossCount} when it was cut. */
  readonly lossCount: number
}

/** The serving side of one torrent on one connection. */
export class Upload {
  readonly peer: PeerId
  readonly torrent: number
  readonly reader: BlobReader
  /** The pieces that the peer was told of. */
  readonly announced: Bitfield
  readonly requests: RequestRing = new RequestRing()
  /** The batches of the live piece list that the peer was sent. */
  readonly sentBatches: Set<SignedBatch> = new Set()
  /** False until the answer to the open is written; requests wait. */
  isReady = false
  isInterested = true
  uploadedBytes = 0
  /** How many pieces were lost so far. */
  lossCount = 0
  /** The piece that was sent last, until the peer tells that it has it. */
  arrivingIndex: number | undefined
  readonly #writer: WireWriter
  readonly #hasReject: boolean
  /** Says what to take of a blob that several fetch; see {@link SuperSeeding}. */
  superSeeding: SuperSeeding | undefined
  #askedIndex: number | undefined
  #isChoked = false
  #isPieceEnd = true
  #wrongCount = 0

  constructor(options: {
    peer: PeerId
    torrent: number
    reader: BlobReader
    writer: WireWriter
    /** Whether the other side knows BEP 6; without it what is refused is dropped. */
    hasReject: boolean
  }) {
    this.peer = options.peer
    this.torrent = options.torrent
    this.reader = options.reader
    this.#writer = options.writer
    this.#hasReject = options.hasReject
    this.announced = new Bitfield(options.reader.layout.count)
  }

  get isChoked(): boolean {
    return this.#isChoked
  }

  /** Whether the first request can be answered now. */
  get isServable(): boolean {
    return this.isReady && !this.#isChoked && this.requests.count > 0
  }

  /** Whether what was sent ends with a piece; in the middle of one the rest will be asked for. */
  get isAtBoundary(): boolean {
    const hasNext = this.requests.count > 0
    return this.#isPieceEnd || (hasNext && this.requests.index(0) !== this.arrivingIndex)
  }

  /** The peer tells that it has a piece. */
  onHave(index: number): void {
    if (index < this.announced.size) this.superSeeding?.onArrived(index)
    if (index === this.arrivingIndex) this.arrivingIndex = undefined
  }

  /** Sets the state without a word: the answer to the open will carry it. */
  beginChoked(isChoked: boolean): void {
    this.#isChoked = isChoked
  }

  /** Lets the peer fetch, or not; what it asked and will not get is rejected (BEP 6). */
  choke(isChoked: boolean): void {
    if (isChoked === this.#isChoked) return
    this.#isChoked = isChoked
    // The answer to the open will carry it.
    if (!this.isReady) return
    // First what to take, so that it is known when asking begins.
    if (!isChoked) this.superSeeding?.suggest(this)
    else this.superSeeding?.withdraw(this)
    this.#writer.signal(this.torrent, isChoked ? MESSAGE.choke : MESSAGE.unchoke)
    if (isChoked) this.rejectAll()
  }

  suggest(index: number): void {
    this.#writer.suggest(this.torrent, index)
  }

  /** Takes a request. @returns a fault if it can come only from a peer that breaks the protocol */
  request(index: number, begin: number, length: number): WireFault | undefined {
    const { layout } = this.reader
    if (index >= layout.count)
      return { code: "INDEX_INVALID", message: `request of piece ${index}` }
    const { start, end } = pieceRange(layout, index)
    if (length === 0 || length > SERVED_BLOCK_BYTES_MAX || begin + length > end - start) {
      return { code: "INDEX_INVALID", message: `request of ${length} bytes at ${begin}` }
    }
    if (this.requests.count >= REQUESTS_QUEUED_MAX) {
      return { code: "LIMIT_EXCEEDED", message: `more than ${REQUESTS_QUEUED_MAX} requests` }
    }
    // Before the answer nothing is rejected: only with it the peer knows why.
    const isServed = !this.isReady || (this.announced.has(index) && !this.#isChoked)
    if (!isServed) return this.#refuse(index, begin, length)
    this.requests.push(index, begin, length)
    if (index !== this.#askedIndex) this.superSeeding?.onAsked(this, index)
    this.#askedIndex = index
    return undefined
  }

  /**
   * A piece is not here any more. What was asked of it is rejected: other bytes may come to its place, and
   * nobody said yet what they are.
   */
  lose(index: number): void {
    this.announced.delete(index)
    this.lossCount++
    const { requests } = this
    for (let place = requests.count - 1; place >= 0; place--) {
      if (requests.index(place) !== index) continue
      this.#reject(index, requests.begin(place), requests.length(place))
      requests.remove(place)
    }
  }

  /** Takes a cancel; BEP 6 wants every request answered, so it is rejected. */
  cancel(index: number, begin: number): void {
    const place = this.requests.find(index, begin)
    if (place < 0) return
    this.#reject(index, begin, this.requests.length(place))
    this.requests.remove(place)
    // A slow link is given up on before anything came: then nobody has the piece.
    const isBegun = index === this.arrivingIndex || this.requests.hasIndex(index)
    if (!isBegun) this.superSeeding?.onUnserved(index)
  }

  /** Requests of pieces that were never told of are rejected, once it is known what was told. */
  ready(): void {
    this.isReady = true
    if (this.#isChoked) this.#giveBackSuggestions()
    for (let count = this.requests.count; count > 0; count--) {
      const [index, begin] = [this.requests.index(0), this.requests.begin(0)]
      const length = this.requests.length(0)
      this.requests.shift()
      if (this.announced.has(index) && !this.#isChoked) this.requests.push(index, begin, length)
      else this.#reject(index, begin, length)
    }
  }

  /** Cuts the next run of contiguous requests off the queue. */
  nextBatch(bytesMax: number, allocate: (bytes: number) => Uint8Array): Batch {
    const { requests } = this
    const count = this.#runLength(bytesMax)
    let blockBytes = 0
    for (let place = 0; place < count; place++) blockBytes += requests.length(place)
    const bytes = allocate(blockBytes + count * PIECE_HEAD_BYTES)
    const messages = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const targets: Uint8Array[] = []
    const start = this.#offset(0)
    let at = 0
    for (let place = 0; place < count; place++) {
      const length = requests.length(place)
      messages.writeUInt32BE(PIECE_HEAD_BYTES - 4 + length, at)
      messages[at + 4] = MESSAGE.piece
      messages.writeUInt32BE(requests.index(place), at + 5)
      messages.writeUInt32BE(requests.begin(place), at + 9)
      targets.push(messages.subarray(at + PIECE_HEAD_BYTES, at + PIECE_HEAD_BYTES + length))
      at += PIECE_HEAD_BYTES + length
    }
    this.#noteSent(count - 1)
    requests.shift(count)
    const { lossCount } = this
    return { upload: this, count, start, messages, targets, blockBytes, lossCount }
  }

  /**
   * A batch could not be read. Requests of pieces that were lost are rejected and the others queued
   * again; all are rejected when nothing was lost, since it would fail again.
   */
  rejectBatch(batch: Batch): void {
    const { lengthBytes } = this.reader.layout
    const requests: { index: number; begin: number; length: number }[] = []
    let start = batch.start
    for (const { length } of batch.targets) {
      const index = Math.floor(start / lengthBytes)
      requests.push({ index, begin: start % lengthBytes, length })
      start += length
    }
    const isLess = requests.some(({ index }) => !this.announced.has(index))
    for (const { index, begin, length } of requests) {
      if (isLess && this.announced.has(index)) this.requests.push(index, begin, length)
      else this.#reject(index, begin, length)
    }
  }

  rejectAll(): void {
    const { requests } = this
    this.#giveBackSuggestions()
    for (let place = 0; place < requests.count; place++) {
      this.#reject(requests.index(place), requests.begin(place), requests.length(place))
    }
    requests.clear()
  }

  /** The peer leaves: what it was told to take and did not get others may take. */
  leaveSuperSeeding(): void {
    this.#giveBackSuggestions()
    if (this.arrivingIndex !== undefined) this.superSeeding?.onUnserved(this.arrivingIndex)
    this.superSeeding?.remove(this)
    this.superSeeding = undefined
  }

  /** Of the pieces that are asked for and not begun. */
  #giveBackSuggestions(): void {
    const { superSeeding, requests } = this
    if (superSeeding === undefined) return
    for (let place = 0; place < requests.count; place++) {
      const index = requests.index(place)
      if (index !== this.arrivingIndex) superSeeding.onUnserved(index)
    }
    this.#askedIndex = undefined
  }

  #noteSent(place: number): void {
    const { requests } = this
    const index = requests.index(place)
    const { start, end } = pieceRange(this.reader.layout, index)
    this.arrivingIndex = index
    this.#isPieceEnd = requests.begin(place) + requests.length(place) === end - start
  }

  #runLength(bytesMax: number): number {
    const { requests } = this
    let end = this.#offset(0) + requests.length(0)
    let bytes = requests.length(0)
    let count = 1
    while (count < requests.count) {
      const length = requests.length(count)
      if (this.#offset(count) !== end || bytes + length > bytesMax) break
      end += length
      bytes += length
      count++
    }
    return count
  }

  #offset(place: number): number {
    const { requests } = this
    return requests.index(place) * this.reader.layout.lengthBytes + requests.begin(place)
  }

  #refuse(index: number, begin: number, length: number): WireFault | undefined {
    this.#reject(index, begin, length)
    // A choke or a lost piece crosses requests on the wire, so some are no fault.
    if (++this.#wrongCount <= WRONG_REQUESTS_MAX) return undefined
    return { code: "LIMIT_EXCEEDED", message: "too many requests of pieces that are not here" }
  }

  #reject(index: number, begin: number, length: number): void {
    if (!this.#hasReject) return
    this.#writer.blockMessage(this.torrent, MESSAGE.reject, index, begin, length)
  }
}
