/**
 * Reads one answer of an origin into the pieces of a growing blob.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type PieceLayout, pieceRange } from "../core/piece.ts"
import { untilAborted } from "../core/until-aborted.ts"
import type { PartialBlob, PieceOutcome } from "../store/store.ts"
import { OriginError } from "./errors.ts"
import type { OriginBody } from "./origin.ts"
import type { Throttle } from "./origin-traffic.ts"

/** Pieces of one stream that are hashed and written while the next is received. */
const WRITES_MAX = 2

export interface ReadOptions {
  readonly clock: Clock
  readonly stallMs: number
  /** The controller whose signal the answer was asked with; it is aborted in the end. */
  readonly stopping: AbortController
  /** Asked before each piece: whether to read on from there. */
  readonly goesOn: (index: number) => boolean
  /** Lets chunks pass as the limits of this node allow. */
  readonly throttle: Throttle | undefined
  readonly onChunk: (chunk: Uint8Array, positionBytes: number) => void
  /** A piece is received and about to be hashed and written; tells when that is over. */
  readonly onWriting: (index: number) => () => void
  /** A piece came, and whether it is written: not so when other bytes were there first. */
  readonly onPiece: (index: number, outcome: PieceOutcome) => void
}

/**
 * Reads an answer to its end, or until `goesOn` says no. Pieces that are there already are skipped.
 * @throws OriginError `ORIGIN_STALLED` when nothing comes for `stallMs`, `ORIGIN_CORRUPT` when the
 * body is shorter or longer than the answer said; StoreError; the signal's reason
 */
export async function readAnswer(
  answer: OriginBody,
  blob: PartialBlob,
  options: ReadOptions,
): Promise<void> {
  const { stopping } = options
  const chunks = answer.body[Symbol.asyncIterator]()
  const watch = createStallWatch(options)
  const pieces = new PieceFiller(blob, options, answer.range.start)
  let position = answer.range.start
  try {
    for (;;) {
      const isAtEnd = position === answer.range.end
      if (!isAtEnd && !pieces.goesOn()) return
      // A wait for our own limit is no stall of the origin's.
      await options.throttle?.ready(stopping.signal)
      const { value: chunk, done } = await watch.during(() => chunks.next())
      if (done === true) {
        if (isAtEnd) return
        throw new OriginError("ORIGIN_CORRUPT", "the origin sent fewer bytes than it said", {
          details: { position, expected: answer.range.end },
        })
      }
      options.throttle?.came(chunk.length)
      options.onChunk(chunk, position)
      position += chunk.length
      if (position > answer.range.end) {
        throw new OriginError("ORIGIN_CORRUPT", "the origin sent more bytes than it said")
      }
      if (!(await pieces.take(chunk))) return
    }
  } finally {
    watch.end()
    options.throttle?.end()
    stopping.abort(new OriginError("ORIGIN_UNAVAILABLE", "the answer was read as far as needed"))
    // A body that hangs ends by the signal; its own fault then no longer matters.
    void chunks.return?.()?.catch(() => {})
    await pieces.end()
  }
}

/** Aborts when a wait for the origin takes too long; waits for the disk do not count. */
function createStallWatch(options: ReadOptions): {
  during<T>(wait: () => Promise<T>): Promise<T>
  end(): void
} {
  const { clock, stallMs, stopping } = options
  let waitingSinceMs: number | undefined
  let cancel = clock.after(stallMs, look)
  function look(): void {
    const waitedMs = waitingSinceMs === undefined ? 0 : clock.monotonicMs() - waitingSinceMs
    if (waitedMs >= stallMs) {
      const seconds = stallMs / 1_000
      stopping.abort(new OriginError("ORIGIN_STALLED", `the origin sent nothing for ${seconds} s`))
    } else cancel = clock.after(stallMs - waitedMs, look)
  }
  return {
    async during(wait) {
      waitingSinceMs = clock.monotonicMs()
      try {
        return await untilAborted(wait(), stopping.signal)
      } finally {
        waitingSinceMs = undefined
      }
    },
    end: () => cancel(),
  }
}

/** Cuts chunks into pieces and writes those that are missing. */
class PieceFiller {
  readonly #blob: PartialBlob
  readonly #layout: PieceLayout
  readonly #options: ReadOptions
  readonly #writes = new Set<Promise<void>>()
  #position: number
  /** The piece that is being filled: its buffer, or undefined while it is skipped. */
  #current: { readonly index: number; readonly buffer: Uint8Array | undefined } | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(blob: PartialBlob, options: ReadOptions, position: number) {
    this.#blob = blob
    this.#layout = blob.layout
    this.#options = options
    this.#position = position
  }

  /** Tells whether to read on; always so in the middle of a piece. */
  goesOn(): boolean {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#current !== undefined) return true
    return this.#options.goesOn(Math.ceil(this.#position / this.#layout.lengthBytes))
  }

  /** @returns whether to read on */
  async take(chunk: Uint8Array): Promise<boolean> {
    for (let at = 0; at < chunk.length; ) {
      if (!this.goesOn()) return false
      const { index, buffer } = this.#current ?? (await this.#begin())
      const piece = pieceRange(this.#layout, index)
      const count = Math.min(chunk.length - at, piece.end - this.#position)
      buffer?.set(chunk.subarray(at, at + count), this.#position - piece.start)
      at += count
      this.#position += count
      if (this.#position === piece.end) await this.#complete()
    }
    return true
  }

  /** Waits for the writes under way and hands all buffers back. */
  async end(): Promise<void> {
    if (this.#current?.buffer !== undefined) this.#blob.returnBuffer(this.#current.buffer)
    this.#current = undefined
    while (this.#writes.size > 0) await Promise.race(this.#writes)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #begin(): Promise<{ index: number; buffer: Uint8Array | undefined }> {
    const index = Math.floor(this.#position / this.#layout.lengthBytes)
    const isWhole = this.#position === pieceRange(this.#layout, index).start
    const isWanted = isWhole && !this.#blob.pieces.has(index)
    const { signal } = this.#options.stopping
    const buffer = isWanted ? await this.#blob.takeBuffer({ signal }) : undefined
    this.#current = { index, buffer }
    return this.#current
  }

  async #complete(): Promise<void> {
    const { index, buffer } = this.#current!
    this.#current = undefined
    if (buffer === undefined) return
    while (this.#writes.size >= WRITES_MAX) await Promise.race(this.#writes)
    const onWritten = this.#options.onWriting(index)
    const write = this.#write(index, buffer).finally(() => {
      onWritten()
      this.#writes.delete(write)
    })
    this.#writes.add(write)
  }

  async #write(index: number, buffer: Uint8Array): Promise<void> {
    const { start, end } = pieceRange(this.#layout, index)
    try {
      const outcome = await this.#blob.writePiece(index, buffer.subarray(0, end - start))
      this.#options.onPiece(index, outcome)
    } catch (error) {
      this.#failure ??= { error }
    } finally {
      this.#blob.returnBuffer(buffer)
    }
  }
}
