/**
 * Reads any part of a sealed payload without opening the rest (protocol/sealed-payload.md §5,
 * "Reading a range").
 * @module
 */
import type { KeyObject } from "node:crypto"
import { assert } from "../core/errors.ts"
import { letGo, openChunks, payloadKey } from "./payload.ts"
import { CHUNK_BYTES, chunkCountOf, chunkRun, NONCE_BYTES, plainBytesOf } from "./payload-layout.ts"

/** Chunks that are read and opened at once: a bound of memory, and of time without a break. */
const CHUNKS_AT_ONCE = 16

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** Where the ciphertext comes from. */
export interface PayloadSource {
  /** Fills `target` with the bytes from `at` on, all of it. @throws when they are not there */
  read(at: number, target: Uint8Array, options?: Cancel): Promise<void>
}

/** The plaintext of a sealed payload, part by part. Reads may overlap. */
export interface PayloadReader {
  readonly plainBytes: number
  /**
   * Fills `target` with the plaintext from `at` on; both ends lie within it.
   * @throws {@link SealError} `PAYLOAD_CORRUPT`; then nothing in `target` counts
   */
  read(at: number, target: Uint8Array, options?: Cancel): Promise<void>
}

/**
 * Gives a reader.
 *
 * @param options - `cipherBytes` is the length of the whole ciphertext; `isLengthProved` tells that it
 * belongs to a digest that was verified: else the last chunk is opened first, which proves it
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID`, `PAYLOAD_CORRUPT`
 */
export async function createPayloadReader(
  source: PayloadSource,
  options: {
    readonly fileKey: Uint8Array
    readonly cipherBytes: number
    readonly isLengthProved: boolean
  },
  cancel: Cancel = {},
): Promise<PayloadReader> {
  const plainBytes = plainBytesOf(options.cipherBytes)
  const nonce = new Uint8Array(NONCE_BYTES)
  await source.read(0, nonce, cancel)
  const reader = new ChunkReader(source, payloadKey(options.fileKey, nonce), plainBytes)
  if (!options.isLengthProved) await reader.openLast(cancel)
  return reader
}

class ChunkReader implements PayloadReader {
  readonly plainBytes: number
  readonly #source: PayloadSource
  readonly #key: KeyObject

  constructor(source: PayloadSource, key: KeyObject, plainBytes: number) {
    this.plainBytes = plainBytes
    this.#source = source
    this.#key = key
  }

  async read(at: number, target: Uint8Array, cancel: Cancel = {}): Promise<void> {
    const end = at + target.length
    assert(at >= 0 && end <= this.plainBytes, "the range lies within the plaintext")
    for (let next = at; next < end; ) {
      cancel.signal?.throwIfAborted()
      const firstIndex = Math.floor(next / CHUNK_BYTES)
      const chunksLeft = Math.ceil(end / CHUNK_BYTES) - firstIndex
      const range = { firstIndex, countMax: Math.min(chunksLeft, CHUNKS_AT_ONCE) }
      for (const chunk of await this.#open(range, cancel)) {
        const within = next % CHUNK_BYTES
        const wanted = chunk.subarray(within, within + end - next)
        target.set(wanted, next - at)
        next += wanted.length
        letGo(chunk)
      }
    }
  }

  /** §5: the last chunk alone proves where the payload ends. */
  async openLast(cancel: Cancel): Promise<void> {
    const firstIndex = chunkCountOf(this.plainBytes) - 1
    for (const chunk of await this.#open({ firstIndex, countMax: 1 }, cancel)) letGo(chunk)
  }

  async #open(
    range: { readonly firstIndex: number; readonly countMax: number },
    cancel: Cancel,
  ): Promise<Iterable<Uint8Array<ArrayBuffer>>> {
    const run = chunkRun(this.plainBytes, range)
    const source = new Uint8Array(run.cipherBytes)
    await this.#source.read(run.cipherAt, source, cancel)
    return openChunks(this.#key, run, source)
  }
}
