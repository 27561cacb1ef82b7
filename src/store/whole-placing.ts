/**
 * Makes files of blobs of one piece: in the piece thread, many of them for one message, or here when
 * they are few and the thread is not there or busy.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { sha256 } from "../core/digest.ts"
import type { PieceThread } from "./piece-thread.ts"
import { type Place, place, settle } from "./placing.ts"

/** A thread that has more than this to do would keep a small blob waiting. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024
/** So many files at a time are made here; for more the thread is started. */
const HERE_MAX = 4
/**
 * While so many others are on their way, blobs are placed and noted in groups: to wake a thread costs as
 * much as the work that it does for one …
 */
const GROUP_OTHERS_MIN = 8
/** … of at most so many … */
const GROUP_MAX = 32
/** … that came within this time. */
const GROUP_MS = 2

/** `identity` tells which file it is; undefined: other bytes than expected, and nothing was written. */
export interface PlacedWhole {
  readonly sha256: Uint8Array
  readonly identity?: string | undefined
}

interface Gathered {
  readonly at: Place
  readonly bytes: Uint8Array
  readonly expected: Uint8Array
  readonly resolve: (placed: Promise<PlacedWhole>) => void
}

/** The placing of one store. */
export class WholePlacing {
  readonly #clock: Clock
  readonly #thread: PieceThread
  /** Leases on growing blobs of one piece: the caller counts them. */
  growingCount = 0
  #gathered: Gathered[] = []
  #cancelFlush: (() => void) | undefined
  /** Placed or about to be. */
  #placingCount = 0
  #hereCount = 0

  constructor(deps: { clock: Clock; thread: PieceThread }) {
    this.#clock = deps.clock
    this.#thread = deps.thread
  }

  /**
   * Hashes the bytes and, if right, makes them a durable file.
   * @param expected - their SHA-256, 32 bytes
   */
  async place(at: Place, bytes: Uint8Array, expected: Uint8Array): Promise<PlacedWhole> {
    this.#placingCount++
    try {
      return await this.#placeInTurn(at, bytes, expected)
    } finally {
      this.#placingCount--
    }
  }

  /** Places what was gathered. */
  flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    const group = this.#gathered
    this.#gathered = []
    for (const { at, bytes, expected, resolve } of group) {
      resolve(this.#placeByThread(at, bytes, expected))
    }
  }

  #placeInTurn(at: Place, bytes: Uint8Array, expected: Uint8Array): Promise<PlacedWhole> {
    const thread = this.#thread
    if (!thread.isReady || thread.pendingBytes >= BACKLOG_BYTES_MAX) {
      return this.#placeHere(at, bytes, expected)
    }
    if (this.growingCount - this.#placingCount < GROUP_OTHERS_MIN) {
      this.flush()
      return this.#placeByThread(at, bytes, expected)
    }
    return new Promise((resolve) => {
      this.#gathered.push({ at, bytes, expected, resolve })
      if (this.#gathered.length >= GROUP_MAX) this.flush()
      else this.#cancelFlush ??= this.#clock.after(GROUP_MS, () => this.flush())
    })
  }

  #placeByThread(
    { partialPath, path }: Place,
    bytes: Uint8Array,
    expected: Uint8Array,
  ): Promise<PlacedWhole> {
    const isShared = bytes.buffer instanceof SharedArrayBuffer
    const own = isShared ? bytes : new Uint8Array(bytes)
    const job = { kind: "place", bytes: own, expected, partialPath, path } as const
    return this.#thread.ask(job, own.buffer instanceof ArrayBuffer ? own.buffer : undefined)
  }

  async #placeHere(at: Place, bytes: Uint8Array, expected: Uint8Array): Promise<PlacedWhole> {
    if (this.#hereCount >= HERE_MAX) this.#thread.warm()
    const actual = sha256(bytes)
    if (Buffer.compare(actual, expected) !== 0) return { sha256: actual }
    this.#hereCount++
    try {
      const settled = await settle(place(at, bytes))
      if ("fault" in settled) throw settled.fault
      return { sha256: actual, identity: settled.identity }
    } finally {
      this.#hereCount--
    }
  }
}
