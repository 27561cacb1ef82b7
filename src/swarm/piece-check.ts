/**
 * Whole pieces between their last block and their verdict: each is held against the list, and written
 * or thrown away.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PartialBlob } from "../store/store.ts"
import type { ActivePiece } from "./active-piece.ts"
import type { LiveList } from "./live-list.ts"

/** A whole piece that no list speaks of is thrown away after this time. */
const UNLISTED_MS_MAX = 4_000

export interface PieceCheckDeps {
  readonly blob: PartialBlob
  readonly clock: Clock
  readonly log: Logger
  readonly list: LiveList
  /** Gives another hash of a piece that no list speaks of: its SHA-1 in a torrent. */
  unlistedHash(index: number): Uint8Array | undefined
  /** The piece is done with, whatever came of it: its buffer is free. */
  onEnd(piece: ActivePiece): void
  onWritten(piece: ActivePiece): void
  /** It has another digest than it should. */
  onRefused(piece: ActivePiece, digest: Uint8Array): void
  /** It was thrown away for no fault of its senders: `disk` failed, or nobody `listed` it. */
  onDiscarded(piece: ActivePiece, reason: "disk" | "unlisted"): void
}

interface Checking {
  readonly piece: ActivePiece
  readonly sinceMs: number
  isWriting: boolean
}

export class PieceCheck {
  readonly #deps: PieceCheckDeps
  readonly #checking = new Map<number, Checking>()

  constructor(deps: PieceCheckDeps) {
    this.#deps = deps
  }

  add(piece: ActivePiece): void {
    const sinceMs = this.#deps.clock.monotonicMs()
    const checking = { piece, sinceMs, isWriting: false }
    this.#checking.set(piece.index, checking)
    this.#check(checking)
  }

  /** The list says more than before. */
  onListGrown(): void {
    for (const checking of [...this.#checking.values()]) {
      if (!checking.isWriting) this.#check(checking)
    }
  }

  /** The piece is there, from elsewhere. */
  drop(index: number): void {
    const checking = this.#checking.get(index)
    if (checking?.isWriting === false) this.#end(checking.piece)
  }

  tick(nowMs: number): void {
    for (const { piece, sinceMs, isWriting } of [...this.#checking.values()]) {
      if (isWriting || nowMs - sinceMs < UNLISTED_MS_MAX) continue
      this.#end(piece)
      this.#deps.onDiscarded(piece, "unlisted")
    }
  }

  /** What is being written goes on; the rest is dropped. */
  close(): void {
    for (const index of [...this.#checking.keys()]) this.drop(index)
  }

  #check(checking: Checking): void {
    const { piece } = checking
    const { list, unlistedHash } = this.#deps
    const expected = list.expected(piece.index) ?? unlistedHash(piece.index)
    if (expected === undefined) return
    checking.isWriting = true
    void this.#write(piece, expected)
  }

  async #write(piece: ActivePiece, expected: Uint8Array): Promise<void> {
    const { index } = piece
    try {
      const outcome = await this.#deps.blob.writePiece(index, piece.bytes, expected)
      if (outcome.kind === "mismatch") {
        this.#refuse(piece, outcome.sha256)
        return
      }
    } catch (error) {
      this.#deps.log.warn({ index, error: messageOf(error) }, "a piece could not be written")
      this.#end(piece)
      this.#deps.onDiscarded(piece, "disk")
      return
    }
    this.#end(piece)
    this.#deps.onWritten(piece)
  }

  #refuse(piece: ActivePiece, digest: Uint8Array): void {
    // While the bytes are still there: their parts are hashed.
    this.#deps.onRefused(piece, digest)
    this.#end(piece)
  }

  #end(piece: ActivePiece): void {
    this.#checking.delete(piece.index)
    this.#deps.onEnd(piece)
  }
}
