/**
 * One peer that a torrent fetches from: what it has, what it was asked, how fast it is.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import { BLOCK_BYTES } from "../core/limits.ts"
import type { PeerId } from "../net/net.ts"
import type { ActivePiece } from "./active-piece.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { PeerScore } from "./peer-score.ts"
import { RequestRing } from "./request-ring.ts"
import type { Flow } from "./shaper.ts"
import { Suggestions } from "./suggestions.ts"
import type { WasteReason } from "./waste.ts"
import { PIECE_HEAD_BYTES } from "./wire-messages.ts"
import { WAIT } from "./wire-parser.ts"

/** Pieces that a source may deny after having told of them, before it is left alone. */
const FALSE_HAVES_MAX = 3
/** Stalls in a row without a byte between them, before a source is left alone. */
const STALLS_MAX = 3
/**
 * A block waits this long for a buffer. Those that have one may wait for blocks that are queued behind
 * it, and then nothing would ever move.
 */
const BUFFER_WAIT_MS_MAX = 1_000
/** Cancelled requests whose answers are waited for. */
const CANCELLED_MAX = 8192
/** A piece of a source whose pace nobody knows is taken to need this time. */
const HEARSAY_MS = 1_000
/** After a stall a source is asked again after this time. */
const STALL_PAUSE_MS = 5_000

/** Why a source is left alone for the rest of a flight. */
export type SourceEnd = "refused" | "closed" | "false-have" | "stalled" | "wrong-pieces"

/** What a source needs of its torrent. */
export interface SourceOwner {
  readonly clock: Clock
  readonly pieceCount: number
  /** Blocks of a piece that is not the last. */
  readonly pieceBlocks: number
  /** Without a block for so many milliseconds a source is stalled. */
  readonly stallMs: number
  /** Gives a piece to ask this source for, noted as active; undefined when there is none. */
  pieceFor(source: Source): ActivePiece | undefined
  /** Whether there is anything to ask this source for. */
  isWanted(source: Source): boolean
  active(index: number): ActivePiece | undefined
  /** Gets the piece a buffer. @returns false if the source must wait; `link.resume` follows */
  provideBuffer(piece: ActivePiece, source: Source): boolean
  onSourceOpened(source: Source, sizeBytes: number): void
  /** @returns whether the piece is missing here */
  onSourceHave(source: Source, index: number, hasIt: boolean): boolean
  onSourceEnded(source: Source, reason: SourceEnd): void
  onBlockHere(piece: ActivePiece, block: number, source: Source): void
  onWasted(bytes: number, reason: WasteReason): void
  onBatch(payload: Uint8Array, source: Source): void
  /** Blocks of this piece became free again. */
  onFreed(piece: ActivePiece): void
}

/** The fetching side of one torrent on one connection. */
export class Source implements BlockSink {
  readonly link: BlockLink
  readonly score: PeerScore
  readonly requests: RequestRing = new RequestRing()
  readonly #flow: Flow | undefined
  /** What it has, as far as it told; nothing before it answered, unless it was assumed. */
  pieces: Bitfield
  isOpened = false
  readonly suggestions: Suggestions = new Suggestions()
  receivedBytes = 0
  rejectedPieces = 0
  /** Of them, those that no signer stands for. */
  garbagePieces = 0
  lastBlockMs: number
  /** Since when it waits for a buffer of ours, by the monotonic clock; meanwhile it cannot stall. */
  #waitingSinceMs: number | undefined
  readonly #owner: SourceOwner
  #isChoked = false
  /** What the other side was told; it believes so until told otherwise. */
  #isInterested = true
  #isEnded = false
  #current: ActivePiece | undefined
  #receiving: { piece: ActivePiece; block: number; length: number } | undefined
  /** Cancelled requests whose block or reject may still come; they may have been asked anew. */
  readonly #cancelled = new RequestRing()
  #stallCount = 0
  readonly #disputed = new Set<number>()
  #falseHaves = 0
  #pausedUntilMs = 0

  /** @param assumed - what it surely has, so that requests need not wait for its answer */
  constructor(link: BlockLink, owner: SourceOwner, assumed: Bitfield | undefined) {
    this.link = link
    this.#owner = owner
    this.pieces = assumed ?? new Bitfield(owner.pieceCount)
    this.lastBlockMs = owner.clock.monotonicMs()
    this.score = new PeerScore(this.lastBlockMs)
    this.#flow = link.traffic?.downloads(() => this.ask())
  }

  get peer(): PeerId {
    return this.link.peer
  }

  /** There may be a buffer now: the block that had to wait is asked about again. */
  resume(): void {
    if (this.#waitingSinceMs === undefined) return
    this.#waitingSinceMs = undefined
    this.link.resume()
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether it answered, and lets us wait for our turn. */
  get isChoked(): boolean {
    return this.isOpened && this.#isChoked
  }

  /** Whether it may be asked now. */
  get isAskable(): boolean {
    if (this.#isEnded || this.#isChoked) return false
    return this.#pausedUntilMs === 0 || this.#owner.clock.monotonicMs() >= this.#pausedUntilMs
  }

  /** Whether it owes something, and no buffer of ours keeps it from giving that. */
  get isTried(): boolean {
    return this.requests.count > 0 && this.#waitingSinceMs === undefined
  }

  /** How many requests it should have in flight. */
  get depth(): number {
    const share = this.link.pace.shareOf(this, this.#owner.pieceBlocks)
    const flowMax = this.#flow?.depthMax(this.link.pace.roundTripMs) ?? Number.POSITIVE_INFINITY
    return Math.min(share, this.score.depthMax, flowMax)
  }

  /** Keeps as many requests in flight as it should have. */
  ask(): void {
    const { depth } = this
    const inFlight = this.requests.count
    // Asking in small bunches keeps writes few; an idle source is asked at once.
    if (inFlight > 0 && depth - inFlight < depth >> 2) return
    if (!this.isAskable) return
    if (inFlight === 0) this.lastBlockMs = this.#owner.clock.monotonicMs()
    while (this.requests.count < depth) {
      // It is woken when its turn has come.
      if (this.#flow?.allowance() === 0) break
      const block = this.#nextBlock()
      if (block < 0) break
      this.askBlock(this.#current!, block)
    }
    if (this.requests.count === 0) this.link.pace.onDone(this)
  }

  /** How long it will take for what it was asked, milliseconds; unknown: as long as it takes already. */
  etaMs(nowMs: number): number {
    const rateBytes = this.score.rateBytesAt(nowMs)
    const waitedMs = nowMs - this.lastBlockMs
    if (rateBytes <= 0) return this.requests.count === 0 ? 0 : waitedMs
    return Math.max(waitedMs, (this.requests.count * BLOCK_BYTES * 1000) / rateBytes)
  }

  /** How long until it has given what it owes of a piece, milliseconds; 0 if it owes nothing. */
  dueMs(piece: ActivePiece, nowMs: number): number {
    let place = this.requests.count - 1
    while (place >= 0 && this.requests.index(place) !== piece.index) place--
    return place < 0 ? 0 : this.#timeOfMs(place + 1, nowMs)
  }

  /** How long until it would have given all of a piece that is missing, milliseconds. */
  freeMs(piece: ActivePiece, nowMs: number): number {
    return this.#timeOfMs(this.requests.count + piece.blockCount - piece.hereCount, nowMs)
  }

  #timeOfMs(blockCount: number, nowMs: number): number {
    const rateBytes = this.score.rateBytesAt(nowMs)
    const waitedMs = this.requests.count === 0 ? 0 : nowMs - this.lastBlockMs
    if (rateBytes <= 0) return Math.max(waitedMs, HEARSAY_MS)
    return Math.max(waitedMs, (blockCount * BLOCK_BYTES * 1000) / rateBytes)
  }

  /** Takes back the requests of a piece of which nothing came yet. */
  handOver(piece: ActivePiece): void {
    for (const block of this.#blocksOf(piece)) piece.unask(block)
    this.forget(piece)
    this.#owner.onFreed(piece)
  }

  /** Asks for one block, noted in its piece already. */
  askBlock(piece: ActivePiece, block: number): void {
    const length = piece.blockLength(block)
    const [index, begin] = [piece.index, block * BLOCK_BYTES]
    this.link.pace.onAsked(this, index, begin, this.#owner.clock.monotonicMs())
    this.requests.push(index, begin, length)
    this.#flow?.reserve(length + PIECE_HEAD_BYTES)
    this.link.request(index, begin, length)
  }

  /** Tells whether it was asked for blocks of a piece that have not come. */
  owes(piece: ActivePiece): boolean {
    for (let place = 0; place < this.requests.count; place++) {
      if (this.requests.index(place) === piece.index) return true
    }
    return false
  }

  /** Somebody else gave this block. */
  cancel(piece: ActivePiece, block: number): void {
    const begin = block * BLOCK_BYTES
    const place = this.requests.find(piece.index, begin)
    if (place < 0) return
    this.#removeRequest(place)
    this.#cancel(piece.index, begin, piece.blockLength(block))
  }

  /** Takes back all that it was asked for. `isTold`: the other side is told by cancels. */
  withdraw(isTold: boolean): void {
    this.abortReceiving()
    const { requests } = this
    const left = new Set<ActivePiece>()
    for (let place = 0; place < requests.count; place++) {
      const [index, begin] = [requests.index(place), requests.begin(place)]
      const piece = this.#owner.active(index)
      piece?.unask(begin / BLOCK_BYTES)
      if (piece !== undefined) left.add(piece)
      if (isTold) this.#cancel(index, begin, requests.length(place))
      this.#flow?.release(requests.length(place) + PIECE_HEAD_BYTES)
    }
    requests.clear()
    this.link.pace.onDone(this)
    if (this.#current !== undefined) left.add(this.#current)
    this.#leaveCurrent()
    for (const piece of left) this.#owner.onFreed(piece)
  }

  /** Takes back all that it was asked for; it is asked again from `untilMs` on, with little. */
  rest(untilMs: number): void {
    this.score.onStall()
    this.withdraw(true)
    this.#pausedUntilMs = untilMs
  }

  /** Ends a rest before its time. */
  wake(): void {
    this.#pausedUntilMs = 0
  }

  /** Drops the requests of one piece, because it came from elsewhere or was given up. */
  forget(piece: ActivePiece): void {
    if (this.#receiving?.piece === piece) this.abortReceiving()
    const { requests } = this
    for (let place = requests.count - 1; place >= 0; place--) {
      if (requests.index(place) !== piece.index) continue
      this.#cancel(piece.index, requests.begin(place), requests.length(place))
      this.#removeRequest(place)
    }
    if (this.#current === piece) this.#leaveCurrent()
  }

  /** Looks at time: measures, and takes the work from a source that stalls. */
  tick(nowMs: number): void {
    this.suggestions.tick(nowMs)
    const waitingMs = nowMs - (this.#waitingSinceMs ?? nowMs)
    if (waitingMs > BUFFER_WAIT_MS_MAX) this.#giveUpWaiting()
    if (this.isOpened && this.requests.count === 0) this.#tellInterest(this.#owner.isWanted(this))
    if (this.requests.count === 0 || this.#waitingSinceMs !== undefined) {
      this.score.skip(nowMs)
      if (this.requests.count === 0) this.link.pace.onDone(this)
      this.lastBlockMs = nowMs
      return
    }
    this.score.measure(nowMs)
    if (nowMs - this.lastBlockMs < this.#owner.stallMs) return
    this.#stallCount++
    this.rest(nowMs + STALL_PAUSE_MS)
    if (this.#stallCount >= STALLS_MAX) this.end("stalled")
  }

  /**
   * What it gave of a piece is what a signer says who is not believed: it may be honest, and either
   * way has nothing of this piece that can be used.
   */
  dispute(index: number): void {
    if (!this.pieces.has(index)) return
    this.#disputed.add(index)
    this.#setHave(index, false)
  }

  /** Another signer is believed: what was disputed may be of use. */
  reconsider(): void {
    for (const index of this.#disputed) if (!this.pieces.has(index)) this.#setHave(index, true)
    this.#disputed.clear()
  }

  get hasDisputes(): boolean {
    return this.#disputed.size > 0
  }

  /** Leaves the source alone. */
  end(reason: SourceEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.withdraw(false)
    this.#flow?.close()
    this.link.close()
    this.#owner.onSourceEnded(this, reason)
  }

  onOpened(opened: { pieces: Bitfield; sizeBytes: number; isChoked: boolean }): void {
    if (this.#isEnded) return
    this.#isChoked = opened.isChoked
    const told = opened.pieces.size === this.#owner.pieceCount ? opened.pieces : undefined
    for (let index = 0; told !== undefined && index < told.size; index++) {
      if (told.has(index) !== this.pieces.has(index)) this.#setHave(index, told.has(index))
    }
    this.isOpened = true
    this.#owner.onSourceOpened(this, opened.sizeBytes)
    if (!this.#isEnded) this.ask()
  }

  onHave(index: number): WireFault | undefined {
    if (index >= this.pieces.size) return indexFault(index)
    const isWanted = !this.pieces.has(index) && this.#setHave(index, true)
    if (!isWanted) return undefined
    this.#tellInterest(true)
    this.ask()
    return undefined
  }

  onSuggested(index: number): WireFault | undefined {
    if (index >= this.pieces.size) return indexFault(index)
    this.suggestions.add(index, this.#owner.clock.monotonicMs())
    this.ask()
    return undefined
  }

  onLost(index: number): WireFault | undefined {
    if (index >= this.pieces.size) return indexFault(index)
    this.#disputed.delete(index)
    if (this.pieces.has(index)) this.#setHave(index, false)
    this.#takeBack(index)
    return undefined
  }

  /** Half of what it had and half of what it will have is of nobody's piece. */
  #takeBack(index: number): void {
    const piece = this.#owner.active(index)
    if (piece === undefined) return
    const count = piece.takeBack(this)
    if (count > 0) this.#owner.onWasted(count * BLOCK_BYTES, "broken-off")
    if (this.#current === piece) this.#leaveCurrent()
    this.#owner.onFreed(piece)
  }

  onChoked(isChoked: boolean): void {
    this.#isChoked = isChoked
    if (isChoked) this.suggestions.end()
    else this.ask()
  }

  /** What is rejected is asked of others; what it told of and denies counts against it. */
  onRejected(index: number, begin: number): void {
    // First what was cancelled: its answer comes before that of the same request made anew.
    const place = this.#takeCancelled(index, begin) ? -1 : this.requests.find(index, begin)
    if (place < 0) return
    this.#removeRequest(place)
    const piece = this.#owner.active(index)
    if (piece !== undefined) {
      piece.unask(begin / BLOCK_BYTES)
      if (this.#current === piece) this.#leaveCurrent()
      this.#owner.onFreed(piece)
    }
    if (this.#isChoked) return
    if (this.pieces.has(index)) {
      this.#setHave(index, false)
      if (++this.#falseHaves >= FALSE_HAVES_MAX) this.end("false-have")
    }
    if (!this.#isEnded && this.requests.count === 0) this.ask()
  }

  onDropped(): void {
    this.withdraw(false)
  }

  onBlock(index: number, begin: number, length: number): Uint8Array | undefined | typeof WAIT {
    if (this.#isEnded) return undefined
    const { requests } = this
    const isNext = requests.count > 0 && requests.index(0) === index && requests.begin(0) === begin
    const place = isNext ? 0 : requests.find(index, begin)
    if (place < 0 || requests.length(place) !== length) {
      this.#onUnasked(index, begin, length)
      return undefined
    }
    const piece = this.#owner.active(index)
    if (piece === undefined) {
      this.#removeRequest(place)
      this.#owner.onWasted(length, "overtaken")
      return undefined
    }
    if (piece.buffer === undefined && !this.#owner.provideBuffer(piece, this)) {
      this.#waitingSinceMs ??= this.#owner.clock.monotonicMs()
      return WAIT
    }
    this.#removeRequest(place)
    const block = begin / BLOCK_BYTES
    if (!piece.begin(block)) {
      this.#owner.onWasted(length, "duplicate")
      return undefined
    }
    this.#receiving = { piece, block, length }
    return piece.buffer!.subarray(begin, begin + length)
  }

  onBlockEnd(): WireFault | undefined {
    const receiving = this.#receiving
    if (receiving === undefined) return undefined
    this.#receiving = undefined
    const nowMs = this.#owner.clock.monotonicMs()
    this.#onProgress(nowMs)
    const { piece, block, length } = receiving
    this.receivedBytes += length
    this.score.onBlock(length)
    this.link.pace.onBlock(this, piece.index, block * BLOCK_BYTES, length, nowMs)
    this.#owner.onBlockHere(piece, block, this)
    this.ask()
    return undefined
  }

  onBatch(payload: Uint8Array): void {
    this.#owner.onBatch(payload, this)
  }

  onClosed(reason: "refused" | "closed"): void {
    this.end(reason)
  }

  /** Stops a block that is coming in; its bytes go nowhere. */
  abortReceiving(): void {
    const receiving = this.#receiving
    if (receiving === undefined) return
    this.#receiving = undefined
    receiving.piece.abort(receiving.block)
    this.#owner.onWasted(receiving.length, "broken-off")
    this.link.discardBlock()
    this.#owner.onFreed(receiving.piece)
  }

  /** Asks others, or later, for all pieces that have no buffer; what comes of them is thrown away. */
  #giveUpWaiting(): void {
    const pieces = new Set<ActivePiece>()
    for (let place = 0; place < this.requests.count; place++) {
      const piece = this.#owner.active(this.requests.index(place))
      if (piece !== undefined && piece.buffer === undefined) pieces.add(piece)
    }
    for (const piece of pieces) this.handOver(piece)
    this.resume()
  }

  /** What was asked for is on its way in, or will not come. */
  #removeRequest(place: number): void {
    const { requests } = this
    this.#flow?.release(requests.length(place) + PIECE_HEAD_BYTES)
    requests.remove(place)
  }

  #blocksOf(piece: ActivePiece): number[] {
    const blocks: number[] = []
    for (let place = 0; place < this.requests.count; place++) {
      if (this.requests.index(place) !== piece.index) continue
      blocks.push(this.requests.begin(place) / BLOCK_BYTES)
    }
    return blocks
  }

  #nextBlock(): number {
    const block = this.#current?.askNext() ?? -1
    if (block >= 0) return block
    this.#leaveCurrent()
    const piece = this.#owner.pieceFor(this)
    if (piece === undefined) return -1
    piece.asker = this
    this.#current = piece
    return piece.askNext()
  }

  #leaveCurrent(): void {
    if (this.#current?.asker === this) this.#current.asker = undefined
    this.#current = undefined
  }

  /** Tells the other side, so that a turn is given to who has a use for it. */
  #tellInterest(isInterested: boolean): void {
    if (isInterested === this.#isInterested || this.#isEnded) return
    this.#isInterested = isInterested
    this.link.interest(isInterested)
  }

  #onProgress(nowMs: number): void {
    this.lastBlockMs = nowMs
    this.#stallCount = 0
    this.#pausedUntilMs = 0
  }

  #setHave(index: number, hasIt: boolean): boolean {
    if (hasIt) this.pieces.add(index)
    else this.pieces.delete(index)
    return this.#owner.onSourceHave(this, index, hasIt)
  }

  #onUnasked(index: number, begin: number, length: number): void {
    this.#owner.onWasted(length, "cancelled")
    if (this.#takeCancelled(index, begin)) return
    this.link.fail({ code: "LIMIT_EXCEEDED", message: "a block that was not asked for" })
  }

  #cancel(index: number, begin: number, length: number): void {
    this.link.cancel(index, begin, length)
    // Without BEP 6 there is no answer to some; the oldest are forgotten.
    if (this.#cancelled.count >= CANCELLED_MAX) this.#cancelled.shift()
    this.#cancelled.push(index, begin, length)
  }

  #takeCancelled(index: number, begin: number): boolean {
    const place = this.#cancelled.find(index, begin)
    if (place >= 0) this.#cancelled.remove(place)
    return place >= 0
  }
}

function indexFault(index: number): WireFault {
  return { code: "INDEX_INVALID", message: `have of piece ${index}` }
}
