/**
 * Piece-long buffers to receive into: shared memory, so that another thread can hash and write them
 * without a copy; bounded in bytes and let go of when idle.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { assert } from "../core/errors.ts"
import { storeClosed } from "./faults.ts"
import { PieceSlab } from "./piece-slab.ts"

/** All buffers of one store together. Two 4 MiB pieces for each of eight blobs at once. */
export const PIECE_BUFFERS_BYTES_MAX: number = 64 * 1024 * 1024
/** The memory is let go of after this time without a taker. */
const IDLE_MS = 2_000

/** Tells whether a taker may have a buffer now. When that changes, {@link PieceBuffers.look}. */
export type Gate = () => boolean

const OPEN: Gate = () => true

interface Waiter {
  readonly lengthBytes: number
  readonly isOpen: Gate
  readonly resolve: (buffer: Uint8Array) => void
  readonly reject: (reason: unknown) => void
}

/** The pool. Who waits is served in turn, whatever the length. */
export class PieceBuffers {
  readonly #clock: Clock
  readonly #bytesMax: number
  #slab: PieceSlab | undefined
  readonly #taken = new Set<Uint8Array>()
  readonly #waiters = new Set<Waiter>()
  #takenBytes = 0
  #cancelTrim: (() => void) | undefined
  #isClosed = false

  constructor(deps: { clock: Clock }, options?: { bytesMax?: number }) {
    this.#clock = deps.clock
    this.#bytesMax = options?.bytesMax ?? PIECE_BUFFERS_BYTES_MAX
  }

  /** Bytes of the buffers that are out. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Whether the pool holds memory, for buffers that are out or soon may be. */
  get isHolding(): boolean {
    return this.#slab !== undefined
  }

  /** Gives a buffer of exactly `lengthBytes`; undefined when the bound is reached or the gate shut. */
  tryTake(lengthBytes: number, isOpen: Gate = OPEN): Uint8Array | undefined {
    if (this.#isClosed || !isOpen()) return undefined
    for (const waiter of this.#waiters) if (waiter.isOpen()) return undefined
    return this.#grab(lengthBytes)
  }

  /** The same, but waits; who asked first is served first. */
  take(
    lengthBytes: number,
    signal: AbortSignal | undefined,
    isOpen: Gate = OPEN,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(storeClosed())
      if (signal?.aborted === true) return reject(signal.reason)
      const buffer = this.tryTake(lengthBytes, isOpen)
      if (buffer !== undefined) return resolve(buffer)
      const settle = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener("abort", onAbort)
      }
      const onAbort = () => {
        settle()
        reject(signal?.reason)
        this.look()
      }
      const waiter: Waiter = {
        lengthBytes,
        isOpen,
        resolve: (found) => {
          settle()
          resolve(found)
        },
        reject: (reason) => {
          settle()
          reject(reason)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener("abort", onAbort, { once: true })
    })
  }

  /** Takes a buffer back; it must be one that was given out and not yet handed back. */
  giveBack(buffer: Uint8Array): void {
    assert(this.#taken.delete(buffer), "a piece buffer is handed back once, to its own store")
    this.#takenBytes -= buffer.length
    this.#slab?.giveBack(buffer)
    this.look()
    if (this.#taken.size === 0 && !this.#isClosed) this.#trimLater()
  }

  /** Refuses all who wait, now and later. */
  close(): void {
    this.#isClosed = true
    this.#cancelTrim?.()
    for (const waiter of [...this.#waiters]) waiter.reject(storeClosed())
  }

  #grab(lengthBytes: number): Uint8Array | undefined {
    // One buffer may always be had, however small the bound, or nothing would ever move.
    const isTooLong = lengthBytes > this.#bytesMax
    if (isTooLong && this.#taken.size > 0) return undefined
    if (isTooLong) this.#slab = new PieceSlab(lengthBytes)
    this.#slab ??= new PieceSlab(this.#bytesMax)
    const buffer = this.#slab.take(lengthBytes)
    if (buffer === undefined) return undefined
    this.#cancelTrim?.()
    this.#taken.add(buffer)
    this.#takenBytes += lengthBytes
    return buffer
  }

  /** Serves those who wait, as far as there are buffers and their gates are open. */
  look(): void {
    for (const waiter of [...this.#waiters]) {
      if (!waiter.isOpen()) continue
      const buffer = this.#grab(waiter.lengthBytes)
      if (buffer === undefined) return
      waiter.resolve(buffer)
    }
  }

  #trimLater(): void {
    this.#cancelTrim?.()
    this.#cancelTrim = this.#clock.after(IDLE_MS, () => {
      this.#slab = undefined
    })
  }
}
