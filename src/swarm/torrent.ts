/**
 * A blob on its way in from many peers at once: which piece from whom, what comes of it, and who is to
 * blame when it is wrong (adapter of the port's {@link Torrent}).
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import { BLOCK_BYTES, STALL_MS_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import { type ByteRange, piecesOf } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { PartialBlob } from "../store/store.ts"
import type { ActivePiece } from "./active-piece.ts"
import { Assembly } from "./assembly.ts"
import type { BlockLink } from "./block-link.ts"
import { Judge, type Verdict } from "./judge.ts"
import type { LiveList } from "./live-list.ts"
import { PieceCheck } from "./piece-check.ts"
import { PiecePicker, type TakeOptions } from "./piece-picker.ts"
import { doubtBelieved, settleRight, settleWrong } from "./settlement.ts"
import { Source, type SourceEnd, type SourceOwner } from "./source.ts"
import { SourceRoster } from "./source-roster.ts"
import { StallPatience } from "./stall-patience.ts"
import type { Holder, SourceReport, Torrent } from "./swarm.ts"
import { ThroughputFloor } from "./throughput-floor.ts"
import type { WasteReason } from "./waste.ts"
import { ZoneBias } from "./zone-bias.ts"

/** Pieces of one source that nobody signed, after which it is not asked any more in this flight. */
const GARBAGE_PIECES_MAX = 2
/** After a fault of our own disk nothing is asked for this time. */
const FAULT_PAUSE_MS = 2_000
/** The choice of signers is doubted at most once in this time. */
const RECONSIDER_MS = 2_000

/** When nothing came for this time, a node takes from a seed what it wants and not what the seed says. */
const STARVING_MS = 1_000
/** The same when a reader has waited for one piece for this time, and so many others came meanwhile … */
const READER_MS = 500
const READER_PIECES = 8
/** … or for this time. */
const READER_MS_MAX = 2_000

/** What a torrent needs of the engine. */
export interface TorrentDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  readonly selfId: PeerId
  readonly list: LiveList
  /**
   * Gives the SHA-1 of a piece that no list speaks of, when that is known: then standard clients are of
   * use as sources.
   */
  unlistedHash(index: number): Uint8Array | undefined
  /** Whether others are known to fetch this blob too. */
  hasFellows(): boolean
  /** Whether a peer stands beyond this node's zone. */
  isFar(peer: PeerId): boolean
  /** Whether a node of this node's zone has all of the blob. */
  hasNearHolder(torrent: EngineTorrent): boolean
  onDownloaded(bytes: number): void
  onWasted(bytes: number, reason: WasteReason): void
  onGoodPiece(peer: PeerId): void
  onSourceEnded(torrent: EngineTorrent, source: Source, reason: SourceEnd): void
  onBatch(torrent: EngineTorrent, payload: Uint8Array, source: Source): void
  onAnnounced(torrent: EngineTorrent, index: number): void
  /** The torrent can use more sources now. */
  onWanting(torrent: EngineTorrent): void
  ban(verdict: Verdict, torrent: EngineTorrent): Promise<void>
  provenList(torrent: EngineTorrent): Uint8Array | undefined
  onClosed(torrent: EngineTorrent): void
}

export class EngineTorrent implements Torrent, SourceOwner {
  readonly blob: PartialBlob
  readonly clock: Clock
  readonly list: LiveList
  readonly picker: PiecePicker
  receivedBytes = 0
  wastedBytes = 0
  readonly #deps: TorrentDeps
  readonly #roster: SourceRoster
  readonly #assembly: Assembly
  readonly #check: PieceCheck
  readonly #judge = new Judge()
  readonly #bias: ZoneBias
  readonly #floor: ThroughputFloor
  readonly #patience: StallPatience
  readonly #usefulListeners = new Set<() => void>()
  #isClosed = false
  #isFetching = true
  #isAskingSoon = false
  #isReconsidering = false
  #reconsideredMs = Number.NEGATIVE_INFINITY
  /** Pieces were thrown away because nobody who is believed speaks of them. */
  #isUnlisted = false
  #lastProgressMs: number
  #lastAnnounceMs = Number.NEGATIVE_INFINITY
  #pausedUntilMs = 0
  /** The first piece that a reader waits for, and since when. */
  #awaited: number | undefined
  #awaitedMs = 0
  /** How many pieces were missing then. */
  #awaitedMissing = 0

  constructor(blob: PartialBlob, deps: TorrentDeps) {
    this.blob = blob
    this.#deps = deps
    const { clock, log, list } = deps
    this.clock = clock
    this.list = list
    this.picker = new PiecePicker(blob.pieces, { random: deps.random })
    const { picker } = this
    this.#roster = new SourceRoster({ clock, picker })
    const roster = this.#roster
    const onWasted = (bytes: number) => this.onWasted(bytes, "orphaned")
    this.#assembly = new Assembly({ blob, clock, picker, roster, onWasted })
    this.#check = new PieceCheck({
      blob,
      clock,
      log,
      list,
      unlistedHash: (index) => deps.unlistedHash(index),
      onEnd: (piece) => this.#assembly.returnBuffer(piece),
      onWritten: (piece) => this.#onWritten(piece),
      onRefused: (piece, digest) => this.#onRefused(piece, digest),
      onDiscarded: (piece, reason) => this.#onDiscarded(piece, reason),
    })
    this.#lastProgressMs = clock.monotonicMs()
    this.#bias = new ZoneBias({
      clock,
      isFar: (peer) => deps.isFar(peer),
      sources: () => roster.all(),
      hasNearHolder: () => deps.hasNearHolder(this),
      lastProgressMs: () => this.lastProgressMs(),
    })
    const floored = {
      sources: () => roster.all(),
      isUseful: (pieces: Bitfield) => picker.isUseful(pieces),
      lastProgressMs: () => this.lastProgressMs(),
      onRest: (peer: PeerId, figures: object) => {
        log.debug({ peer, ...figures }, "a source is far slower than the others, and rests")
      },
    }
    this.#floor = new ThroughputFloor(floored, this.#lastProgressMs)
    this.#patience = new StallPatience(this.#lastProgressMs)
  }

  get pieceCount(): number {
    return this.blob.layout.count
  }

  get pieceBlocks(): number {
    return Math.ceil(this.blob.layout.lengthBytes / BLOCK_BYTES)
  }

  // The port.

  setWindow(range: ByteRange | undefined): void {
    const { layout } = this.blob
    this.picker.setWindow(range === undefined ? { start: 0, end: 0 } : piecesOf(layout, range))
    this.#roster.askAll()
  }

  reserve(pieces: ByteRange): () => void {
    const release = this.picker.reserve(pieces)
    return () => {
      release()
      this.#roster.askAll()
    }
  }

  setFetching(isFetching: boolean): void {
    if (isFetching === this.#isFetching) return
    this.#isFetching = isFetching
    if (isFetching) this.#deps.onWanting(this)
    else for (const source of this.#roster.all()) source.end("closed")
  }

  announcePiece(index: number): void {
    this.#lastAnnounceMs = this.clock.monotonicMs()
    this.#lastProgressMs = this.#lastAnnounceMs
    this.onPieceThere(index)
    this.#deps.onAnnounced(this, index)
  }

  sources(): readonly SourceReport[] {
    return this.#roster.reports()
  }

  usefulSourceCount(): number {
    return this.#roster.usefulCount()
  }

  get isQueued(): boolean {
    return this.#roster.all().some((source) => source.isChoked && this.#roster.isUseful(source))
  }

  lastProgressMs(): number {
    return this.clock.monotonicMs() - this.#lastProgressMs
  }

  onUseful(listener: () => void): () => void {
    this.#usefulListeners.add(listener)
    return () => this.#usefulListeners.delete(listener)
  }

  async settle(outcome: "right" | "wrong"): Promise<{ droppedPieces: readonly number[] }> {
    if (outcome === "wrong") return { droppedPieces: await this.#onWrong() }
    await this.#onRight()
    return { droppedPieces: [] }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const source of this.#roster.all()) source.end("closed")
    this.#assembly.close()
    this.#check.close()
    this.#usefulListeners.clear()
    this.#deps.onClosed(this)
  }

  // The engine.

  /** Tells whether a peer should be attached. @param pendingCount - sessions being opened for more */
  wants(peer: PeerId, pendingCount: number): boolean {
    if (this.#isClosed || !this.#isFetching || this.picker.missingCount === 0) return false
    if (this.#deps.isFar(peer) && !this.#bias.wantsFar()) return false
    return this.#roster.canTake(peer, pendingCount)
  }

  /** Leaves sources alone that may not be used any more. */
  leave(isOver: (peer: PeerId) => boolean): void {
    for (const source of this.#roster.all()) if (isOver(source.peer)) source.end("closed")
  }

  /** Leaves sources alone that are not wanted any more, when nothing is asked of them. */
  leaveIdle(isOver: (peer: PeerId) => boolean): void {
    for (const source of this.#roster.all()) {
      if (source.requests.count === 0 && isOver(source.peer)) source.end("closed")
    }
  }

  /**
   * Leaves sources that have nothing of use, when there is no place for others.
   * @returns the holders, those that were left last
   */
  withRoom(holders: readonly Holder[]): readonly Holder[] {
    const left = this.#roster.isFull ? this.#roster.useless() : []
    for (const source of left) source.end("closed")
    const isLeft = new Set(left.map(({ peer }) => peer))
    const rest = holders.filter(({ peer }) => !isLeft.has(peer))
    return [...rest, ...holders.filter(({ peer }) => isLeft.has(peer))]
  }

  /** Whether a peer is attached or may be. */
  isAble(peer: PeerId): boolean {
    return this.#roster.isAble(peer)
  }

  /** A peer has something new. */
  forgive(peer: PeerId): void {
    this.#roster.forgive(peer)
  }

  /**
   * Adds a source.
   * @param assumed - what it has, when that is known before it answers
   */
  attach(link: BlockLink, assumed: Bitfield | undefined): Source {
    const source = new Source(link, this, assumed)
    this.#roster.add(source)
    if (assumed !== undefined) {
      source.ask()
      this.#tellUseful(source)
    }
    return source
  }

  /** A piece is there, whoever wrote it. */
  onPieceThere(index: number): void {
    this.picker.complete(index)
    this.#check.drop(index)
    this.#assembly.drop(index)
  }

  /** Pieces may have been lost: the disk lied, or somebody dropped them. */
  onPiecesLost(): void {
    const { pieces } = this.blob
    let isLess = false
    for (let index = 0; index < pieces.size; index++) {
      if (pieces.has(index) || this.picker.isMissing(index)) continue
      this.picker.lose(index)
      isLess = true
    }
    if (isLess) this.#roster.askAll()
  }

  /** The list says more than before: pieces that waited for it are judged. */
  onListGrown(): void {
    this.#check.onListGrown()
  }

  get stallMs(): number {
    return this.#patience.stallMs
  }

  tick(nowMs: number): void {
    const owingCount = this.#roster.all().filter(({ isTried }) => isTried).length
    this.#patience.tick(nowMs, { receivedBytes: this.receivedBytes, owingCount })
    for (const source of this.#roster.all()) source.tick(nowMs)
    this.#floor.tick(nowMs)
    const awaited = this.picker.firstAwaited()
    if (awaited !== this.#awaited) {
      this.#awaited = awaited
      this.#awaitedMs = nowMs
      this.#awaitedMissing = this.picker.missingCount
    }
    this.#assembly.tick(nowMs)
    this.#check.tick(nowMs)
    this.#roster.askAll()
    this.#reconsider(nowMs)
  }

  // The sources.

  pieceFor(source: Source): ActivePiece | undefined {
    if (!this.#isFetching || this.#isClosed) return undefined
    if (this.#pausedUntilMs > this.clock.monotonicMs()) return undefined
    const pieces = this.#bias.offered(source)
    const orphan = this.#assembly.adopt(pieces)
    if (orphan !== undefined) return orphan
    // Before it answers it is asked for one piece if others fetch too: it may say what to take.
    const isUnheard = !source.isOpened && source.requests.count > 0
    if (isUnheard && this.#deps.hasFellows()) return undefined
    const isGuided = source.suggestions.isActive && !this.#isStarving() && !this.#isReaderWaiting()
    const index = isGuided ? this.#guided(source, pieces) : this.#chosen(source, pieces)
    return index === undefined ? undefined : this.#assembly.begin(index)
  }

  isWanted(source: Source): boolean {
    if (!this.#isFetching || this.#isClosed) return false
    return this.picker.isWanted(this.#bias.offered(source))
  }

  #chosen(source: Source, pieces: Bitfield): number | undefined {
    // Nothing is rare for who fetches alone.
    const hasFellows = this.#deps.hasFellows()
    const isInOrder = source.isOpened && source.pieces.isFull && !hasFellows
    const options = { isInOrder, isShared: hasFellows && !this.#isReaderWaiting() }
    return this.picker.take(pieces, options) ?? this.#reservedFor(pieces, options)
  }

  /** What a seed says, which knows what it gave to others; it says more when that is taken. */
  #guided(source: Source, pieces: Bitfield): number | undefined {
    const { suggestions } = source
    if (suggestions.isEmpty) return undefined
    for (let index = suggestions.next(); index !== undefined; index = suggestions.next()) {
      if (pieces.has(index) && this.picker.takeThis(index)) return index
    }
    // All that it said is here or on its way: it does not know better any more.
    return this.#chosen(source, pieces)
  }

  active(index: number): ActivePiece | undefined {
    return this.#assembly.get(index)
  }

  provideBuffer(piece: ActivePiece, source: Source): boolean {
    return this.#assembly.provideBuffer(piece, source)
  }

  onSourceOpened(source: Source, sizeBytes: number): void {
    if (sizeBytes !== this.blob.layout.sizeBytes) source.end("false-have")
    else this.#tellUseful(source)
  }

  onSourceHave(source: Source, index: number, hasIt: boolean): boolean {
    if (hasIt) this.picker.addHave(index)
    else this.picker.removeHave(index)
    const isNews = hasIt && this.picker.isMissing(index)
    if (isNews && source.isOpened) {
      if (this.#assembly.relieve(index, source)) this.#askSoon()
      this.#tellUseful(source)
    }
    return isNews
  }

  onSourceEnded(source: Source, reason: SourceEnd): void {
    this.#roster.remove(source, reason)
    this.#deps.onSourceEnded(this, source, reason)
    if (!this.#isClosed) this.#roster.askAll()
  }

  onBlockHere(piece: ActivePiece, block: number, source: Source): void {
    piece.finish(block, source)
    const length = piece.blockLength(block)
    this.receivedBytes += length
    this.#deps.onDownloaded(length)
    this.#lastProgressMs = source.lastBlockMs
    if (piece.isWhole) {
      for (const peer of piece.peers) this.#roster.get(peer)?.link.have(piece.index)
      this.#assembly.release(piece)
      this.#check.add(piece)
    } else if (piece.isShared) this.#assembly.cancelElsewhere(piece, block, source)
  }

  onWasted(bytes: number, reason: WasteReason): void {
    this.wastedBytes += bytes
    this.#deps.onWasted(bytes, reason)
  }

  onBatch(payload: Uint8Array, source: Source): void {
    this.#deps.onBatch(this, payload, source)
  }

  onFreed(piece: ActivePiece): void {
    this.#assembly.onFreed(piece)
  }

  // What comes of a piece.

  #onWritten(piece: ActivePiece): void {
    if (this.#isClosed) return
    this.picker.complete(piece.index)
    this.#lastProgressMs = this.clock.monotonicMs()
    for (const peer of piece.peers) this.#deps.onGoodPiece(peer)
  }

  /** A piece has another digest than the list says; its senders answer for it when it is proved. */
  #onRefused(piece: ActivePiece, digest: Uint8Array): void {
    this.#judge.note({ index: piece.index, sha256: digest, parts: piece.parts(digest) })
    this.#giveBack(piece, "refused")
    const isDisputed = this.list.isSaid(piece.index, digest)
    for (const peer of piece.peers) {
      const source = this.#roster.get(peer)
      if (source === undefined) continue
      source.rejectedPieces++
      if (isDisputed) source.dispute(piece.index)
      // Of a piece over several connections nobody knows yet who spoiled it.
      else if (piece.isOfOne) onGarbage(source)
    }
    if (!this.#isClosed) this.#roster.askAll()
  }

  #onDiscarded(piece: ActivePiece, reason: "disk" | "unlisted"): void {
    this.#giveBack(piece, "discarded")
    if (reason === "unlisted") this.#isUnlisted = true
    else this.#pausedUntilMs = this.clock.monotonicMs() + FAULT_PAUSE_MS
  }

  #giveBack(piece: ActivePiece, reason: WasteReason): void {
    this.onWasted(piece.lengthBytes, reason)
    this.picker.giveBack(piece.index)
  }

  /** Whether nothing has come for a while, although pieces are missing. */
  #isStarving(): boolean {
    return this.clock.monotonicMs() - this.#lastProgressMs > STARVING_MS
  }

  /** Whether a reader has waited for the same piece for a while. */
  #isReaderWaiting(): boolean {
    const isAwaited = this.#awaited !== undefined && this.picker.firstAwaited() === this.#awaited
    if (!isAwaited) return false
    const waitedMs = this.clock.monotonicMs() - this.#awaitedMs
    if (waitedMs > READER_MS_MAX) return true
    const { missingCount } = this.picker
    return waitedMs > READER_MS && this.#awaitedMissing - missingCount >= READER_PIECES
  }

  /** Reserved pieces are left to the origin reader, unless it does not move and nothing else is left. */
  #reservedFor(pieces: Bitfield, options: TakeOptions): number | undefined {
    const nowMs = this.clock.monotonicMs()
    const isOriginIdle = nowMs - this.#lastAnnounceMs > STALL_MS_MAX / 2
    if (!isOriginIdle || this.picker.candidateCount === 0) return undefined
    return this.picker.take(pieces, { ...options, withReserved: true })
  }

  /** After all that happens now: who was relieved of a piece may take another. */
  #askSoon(): void {
    if (this.#isAskingSoon) return
    this.#isAskingSoon = true
    queueMicrotask(() => {
      this.#isAskingSoon = false
      this.#roster.askAll()
    })
  }

  #tellUseful(source: Source): void {
    if (this.#usefulListeners.size === 0 || !this.#roster.isUseful(source)) return
    for (const listener of [...this.#usefulListeners]) listener()
  }

  // Verdicts.

  async #onRight(): Promise<void> {
    const proven = this.#deps.provenList(this)
    if (proven === undefined) return
    await this.#banAll(await settleRight(this.blob, this.list, this.#judge, proven))
  }

  async #onWrong(): Promise<readonly number[]> {
    const { dropped, verdicts } = settleWrong(this.blob, this.list, this.#deps.selfId)
    await this.blob.dropPieces(dropped)
    this.onPiecesLost()
    await this.#banAll(verdicts)
    this.#forgiveAll()
    return dropped
  }

  async #banAll(verdicts: readonly Verdict[]): Promise<void> {
    for (const verdict of verdicts) {
      if (verdict.peer === this.#deps.selfId) continue
      this.#roster.convict(verdict.peer)
      await this.#deps.ban(verdict, this)
    }
  }

  /**
   * Nobody can give what is missing, and pieces were refused because they differ from the list or are
   * not in it: then it may be the list that lies, and the next best is tried.
   */
  #reconsider(nowMs: number): void {
    if (this.#isReconsidering || !this.#isFetching || this.picker.candidateCount === 0) return
    if (nowMs - this.#reconsideredMs < RECONSIDER_MS) return
    const isStuck = this.#roster.usefulCount() === 0 && this.#roster.isDisputed
    if (!isStuck && !this.#isUnlisted) return
    this.#isUnlisted = false
    this.#reconsideredMs = nowMs
    this.#isReconsidering = true
    void this.#dropDoubtful().finally(() => {
      this.#isReconsidering = false
    })
  }

  async #dropDoubtful(): Promise<void> {
    const doubtful = doubtBelieved(this.blob, this.list, this.#deps.selfId)
    if (doubtful === undefined) return
    this.#deps.log.debug({ dropped: doubtful.length }, "the piece list is doubted")
    try {
      if (doubtful.length > 0) await this.blob.dropPieces(doubtful)
    } catch (error) {
      // Our own disk failed: what it still holds is doubted again later.
      this.#deps.log.warn({ error: messageOf(error) }, "doubtful pieces could not be dropped")
      return
    }
    this.onPiecesLost()
    this.#forgiveAll()
  }

  #forgiveAll(): void {
    this.#roster.forgiveAll()
    this.#roster.askAll()
    this.#deps.onWanting(this)
  }
}

function onGarbage(source: Source): void {
  source.garbagePieces++
  if (source.garbagePieces >= GARBAGE_PIECES_MAX) source.end("wrong-pieces")
}
