/**
 * The pieces of one torrent that are on their way: who puts which together, in which buffer, and what
 * becomes of those that were left half done.
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import { BLOCK_BYTES } from "../core/limits.ts"
import { pieceRange } from "../core/piece.ts"
import type { PartialBlob } from "../store/store.ts"
import { ActivePiece } from "./active-piece.ts"
import type { PiecePicker } from "./piece-picker.ts"
import type { Source } from "./source.ts"
import type { SourceRoster } from "./source-roster.ts"

/** Duplicate requests that an idle source gets near the end. */
const SHARED_BLOCKS_MAX = 16
/** A source that needs longer than this for what it was asked is slow, when another is idle. */
const SLOW_MS = 300
/** A seed that needs longer than this for what it was asked is relieved of pieces that others have. */
const RELIEF_MS = 1_000
/** A piece that a reader waits for may take this long before a second source is asked for it. */
const HEDGE_MS = 500
/** And only if what is left of it takes so long and that one is so many times as soon: over slow links … */
const LATE_MS = 1_500
/** … every piece takes long, and what is asked twice mostly comes twice. */
const HEDGE_GAIN = 2
/** A part of a piece that nobody goes on with is thrown away after this time. */
const ORPHAN_MS_MAX = 4_000

export interface AssemblyDeps {
  readonly blob: PartialBlob
  readonly clock: Clock
  readonly picker: PiecePicker
  readonly roster: SourceRoster
  onWasted(bytes: number): void
}

export class Assembly {
  readonly #deps: AssemblyDeps
  readonly #active = new Map<number, ActivePiece>()
  /** Pieces that somebody left half done, and since when. */
  readonly #orphans = new Map<ActivePiece, number>()
  /** Made for the first piece that has to wait for a buffer. */
  #closing: AbortController | undefined

  constructor(deps: AssemblyDeps) {
    this.#deps = deps
  }

  get(index: number): ActivePiece | undefined {
    return this.#active.get(index)
  }

  /**
   * Gives a piece that was left half done and that a source can go on with.
   * @param pieces - those that the source may be asked for
   */
  adopt(pieces: Bitfield): ActivePiece | undefined {
    for (const orphan of this.#orphans.keys()) {
      // Of one that nothing came of, what was asked for is about to be rejected too: then it begins anew.
      if (!orphan.isBegun || orphan.freeCount === 0 || !pieces.has(orphan.index)) continue
      this.#orphans.delete(orphan)
      return orphan
    }
    return undefined
  }

  /** Begins a piece that the picker gave. */
  begin(index: number): ActivePiece {
    const { start, end } = pieceRange(this.#deps.blob.layout, index)
    const piece = new ActivePiece(index, end - start, this.#deps.clock.monotonicMs())
    this.#active.set(index, piece)
    return piece
  }

  /** Gets a piece its buffer. @returns false if the source must wait; its `resume` follows */
  provideBuffer(piece: ActivePiece, source: Source): boolean {
    piece.buffer = this.#deps.blob.tryTakeBuffer()
    if (piece.buffer !== undefined) return true
    void this.#waitForBuffer(piece, source)
    return false
  }

  /**
   * A piece was asked of a source that has everything, nothing of it came yet, and now a peer has it
   * too: that peer is asked instead, so that the seed has time for what only it has.
   * @returns whether a seed is free for something else
   */
  relieve(index: number, source: Source): boolean {
    const piece = this.#active.get(index)
    if (piece === undefined || piece.isBegun || piece.isShared || source.pieces.isFull) return false
    if (!source.isAskable || source.requests.count >= source.depth) return false
    const nowMs = this.#deps.clock.monotonicMs()
    const seed = this.#deps.roster.all().find((one) => one.pieces.isFull && one.owes(piece))
    // What comes soon is on its way already: it would come twice.
    if (seed === undefined || seed.etaMs(nowMs) < RELIEF_MS) return false
    seed.handOver(piece)
    return true
  }

  /** A reader waits for a piece that a slow source owes: the fastest other one is asked as well. */
  #hedge(nowMs: number): void {
    const index = this.#deps.picker.firstAwaited()
    const piece = index === undefined ? undefined : this.#active.get(index)
    if (piece === undefined || piece.isShared || nowMs - piece.sinceMs < HEDGE_MS) return
    const { roster } = this.#deps
    const fastest = roster.fastestFor(piece)
    if (fastest === undefined) return
    const lateMs = Math.max(0, ...roster.all().map((source) => source.dueMs(piece, nowMs)))
    if (lateMs < LATE_MS || fastest.freeMs(piece, nowMs) * HEDGE_GAIN > lateMs) return
    askAgain(piece, fastest, piece.blockCount)
  }

  /**
   * The endgame: what a slow source owes is asked a second time, from the end of each piece, of one
   * that would be idle.
   */
  #share(nowMs: number): void {
    // As long as there is something else to ask for, nothing is asked twice.
    if (this.#deps.picker.candidateCount > 0) return
    const sources = this.#deps.roster.all()
    const idle = sources.filter((source) => source.requests.count === 0 && source.isAskable)
    const slow = sources.filter((source) => source.etaMs(nowMs) > SLOW_MS)
    if (idle.length === 0 || slow.length === 0) return
    // What each slow one may still be relieved of.
    const budgets = new Map<Source, number>()
    for (const source of idle) {
      let left = SHARED_BLOCKS_MAX
      for (const piece of this.#active.values()) {
        if (!source.pieces.has(piece.index)) continue
        const owing = slow.find((one) => one.owes(piece))
        if (owing === undefined) continue
        const known = budgets.get(owing)
        const budget = known ?? meetingBlocks(owing, source, nowMs)
        const count = askAgain(piece, source, Math.min(left, budget))
        budgets.set(owing, budget - count)
        left -= count
        if (left === 0) break
      }
    }
  }

  /** A block of a piece that several were asked for is here: the others need not send it. */
  cancelElsewhere(piece: ActivePiece, block: number, giver: Source): void {
    for (const source of this.#deps.roster.all()) {
      if (source !== giver) source.cancel(piece, block)
    }
  }

  /** Blocks of a piece became free: somebody else goes on, or it begins anew. */
  onFreed(piece: ActivePiece): void {
    if (this.#active.get(piece.index) !== piece) return
    if (piece.asker !== undefined || piece.freeCount === 0) return
    if (piece.freeCount === piece.blockCount) this.#throwAway(piece)
    else this.#orphans.set(piece, this.#deps.clock.monotonicMs())
  }

  /** A piece is whole; it leaves with its buffer. */
  release(piece: ActivePiece): void {
    if (piece.isShared) this.#forget(piece)
    this.#active.delete(piece.index)
    this.#orphans.delete(piece)
    piece.asker = undefined
  }

  /** A piece came from elsewhere. */
  drop(index: number): void {
    const piece = this.#active.get(index)
    if (piece === undefined) return
    this.#forget(piece)
    this.#end(piece)
  }

  returnBuffer(piece: ActivePiece): void {
    if (piece.buffer === undefined) return
    this.#deps.blob.returnBuffer(piece.buffer)
    piece.buffer = undefined
  }

  tick(nowMs: number): void {
    for (const [piece, sinceMs] of this.#orphans) {
      if (nowMs - sinceMs > ORPHAN_MS_MAX) this.#throwAway(piece)
    }
    this.#hedge(nowMs)
    this.#share(nowMs)
  }

  close(): void {
    this.#closing?.abort()
    for (const piece of [...this.#active.values()]) this.#end(piece)
  }

  async #waitForBuffer(piece: ActivePiece, source: Source): Promise<void> {
    const { blob } = this.#deps
    this.#closing ??= new AbortController()
    try {
      const buffer = await blob.takeBuffer({ signal: this.#closing.signal })
      const isNeeded = this.#active.get(piece.index) === piece && piece.buffer === undefined
      if (isNeeded && !source.isEnded) piece.buffer = buffer
      else blob.returnBuffer(buffer)
    } catch {
      // The torrent or the store is closed; then the block goes nowhere.
    }
    source.resume()
  }

  #throwAway(piece: ActivePiece): void {
    this.#forget(piece)
    if (piece.hereCount > 0) this.#deps.onWasted(piece.hereCount * piece.blockLength(0))
    this.#end(piece)
    this.#deps.picker.giveBack(piece.index)
  }

  #forget(piece: ActivePiece): void {
    for (const source of this.#deps.roster.all()) source.forget(piece)
  }

  #end(piece: ActivePiece): void {
    this.#active.delete(piece.index)
    this.#orphans.delete(piece)
    this.returnBuffer(piece)
  }
}

/**
 * Gives how many blocks an idle source brings from the end before a slow one gets there from the start.
 * More than that would come twice: a block is on its way long before a cancel can stop it.
 */
function meetingBlocks(slow: Source, idle: Source, nowMs: number): number {
  const [slowRate, idleRate] = [slow.score.rateBytesAt(nowMs), idle.score.rateBytesAt(nowMs)]
  // Of whom nothing is known one block is asked; who stands still owes all.
  if (idleRate <= 0) return 1
  if (slowRate <= 0) return SHARED_BLOCKS_MAX
  const together = (idleRate * slowRate) / (idleRate + slowRate)
  // Rounded down, the last one would be left to the slow one, however late it comes.
  return Math.round((slow.etaMs(nowMs) * together) / 1000 / BLOCK_BYTES)
}

/** Asks a source for blocks that another owes, from the last on. @returns how many it was asked */
function askAgain(piece: ActivePiece, source: Source, countMax: number): number {
  let count = 0
  for (let block = piece.blockCount; count < countMax; count++) {
    block = piece.askAgain(block - 1)
    if (block < 0) break
    source.askBlock(piece, block)
  }
  return count
}
