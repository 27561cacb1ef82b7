/**
 * What the threads of a payload pool are told, what they answer, and the board that they share: who
 * takes which run of chunks, and how far all of them are.
 * @module
 */
import type { KeyObject } from "node:crypto"
import type { SealErrorCode } from "./errors.ts"
import {
  CHUNK_BYTES,
  type ChunkRun,
  chunkCountOf,
  chunkRun,
  SEALED_CHUNK_BYTES,
} from "./payload-layout.ts"

/**
 * Chunks that a thread takes at once. From 2 to 16 the speed is the same (measured), so few: they
 * are what memory is taken for.
 */
export const RUN_CHUNKS = 4
/** Longest plaintext of a run, and its longest ciphertext. */
export const RUN_PLAIN_BYTES: number = RUN_CHUNKS * CHUNK_BYTES
export const RUN_CIPHER_BYTES: number = RUN_CHUNKS * SEALED_CHUNK_BYTES

/** Runs between sealing and hashing, at most. */
export const SLOTS_MAX = 8
/** Memory of one slot, in bytes. */
export const SLOT_BYTES: number = RUN_PLAIN_BYTES + RUN_CIPHER_BYTES

/** One file that all threads of a pool seal or open together. */
export interface Job {
  readonly kind: "seal" | "open"
  /** Descriptors that stay open until each thread has answered. */
  readonly sourceFd: number
  readonly targetFd: number
  readonly key: KeyObject
  readonly nonce: Uint8Array
  readonly plainBytes: number
}

/** A job as one of the threads gets it. */
export interface Part extends Job {
  readonly board: SharedArrayBuffer
  /** Of sealing only: where runs lie between sealing and hashing. */
  readonly slots: SharedArrayBuffer | undefined
  /** Its number among `threadCount` threads, from 0. */
  readonly thread: number
  readonly threadCount: number
}

/** SHA-256 of the whole plaintext and ciphertext, from the threads that hash them. */
export interface Digests {
  readonly plainSha256?: Uint8Array
  readonly cipherSha256?: Uint8Array
}

/** What a thread says; all but `progress` are its last word on a part. */
export type Answer =
  | { readonly kind: "progress"; readonly plainBytes: number }
  | { readonly kind: "done"; readonly digests: Digests }
  | { readonly kind: "refused"; readonly code: SealErrorCode; readonly message: string }
  /** A fault of the file system, with its code, or of the program. */
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string }

/** Gives the number of runs of a plaintext. */
export function runCountOf(plainBytes: number): number {
  return Math.ceil(chunkCountOf(plainBytes) / RUN_CHUNKS)
}

/** Gives the chunks of a run. */
export function runOf({ plainBytes }: Job, run: number): ChunkRun {
  return chunkRun(plainBytes, { firstIndex: run * RUN_CHUNKS, countMax: RUN_CHUNKS })
}

const STOPPED = 0
const CHANGES = 1
const TAKEN = 2
const HASHED_PLAIN = 3
const HASHED_CIPHER = 4
/** From here on one word per slot: the number of the run that it holds sealed, plus one. */
const SEALED = 5

/** The stream that a thread hashes. */
export type HashedStream = "plain" | "cipher"
const HASHED = { plain: HASHED_PLAIN, cipher: HASHED_CIPHER } as const

/** The view of one thread on the shared board. */
export class Board {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** Gives memory for a board, all words 0. */
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer((SEALED + SLOTS_MAX) * Int32Array.BYTES_PER_ELEMENT)
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, STOPPED) === 1
  }

  /** Tells all threads to end their part after the run that they are at. */
  stop(): void {
    Atomics.store(this.#words, STOPPED, 1)
    this.#changed()
  }

  /** Gives the next run that nobody has, or undefined when all below the limit are taken. */
  take(limit: number): number | undefined {
    for (;;) {
      const run = Atomics.load(this.#words, TAKEN)
      if (run >= limit) return undefined
      if (Atomics.compareExchange(this.#words, TAKEN, run, run + 1) === run) return run
    }
  }

  get takenCount(): number {
    return Atomics.load(this.#words, TAKEN)
  }

  /** Gives the number of runs that both hashes have passed: their slots are free again. */
  get hashedCount(): number {
    return Math.min(
      Atomics.load(this.#words, HASHED_PLAIN),
      Atomics.load(this.#words, HASHED_CIPHER),
    )
  }

  /** Tells that a hash has passed so many runs. */
  hashed(stream: HashedStream, runCount: number): void {
    Atomics.store(this.#words, HASHED[stream], runCount)
    this.#changed()
  }

  isSealed(run: number, slot: number): boolean {
    return Atomics.load(this.#words, SEALED + slot) === run + 1
  }

  /** Tells that a slot holds a run, plaintext and ciphertext. */
  sealed(run: number, slot: number): void {
    Atomics.store(this.#words, SEALED + slot, run + 1)
    this.#changed()
  }

  /** Gives the mark to take before looking, for {@link wait}. */
  get mark(): number {
    return Atomics.load(this.#words, CHANGES)
  }

  /** Blocks this thread until something changes after the mark was taken. */
  wait(mark: number): void {
    Atomics.wait(this.#words, CHANGES, mark)
  }

  #changed(): void {
    Atomics.add(this.#words, CHANGES, 1)
    Atomics.notify(this.#words, CHANGES)
  }
}
