/**
 * Collects the info dictionary of a torrent from one client (BEP 9), piece by piece, and believes it
 * only if its SHA-1 is the info-hash that was asked for.
 * @module
 */
import { createHash } from "node:crypto"
import { dictionaryOf, encodeBencode, parseBencodePrefix } from "../bencode.ts"
import type { WireFault } from "../errors.ts"

/** Length of a piece of metadata (BEP 9). */
export const METADATA_BYTES: number = 16 * 1024
export const METADATA_REQUEST = 0
export const METADATA_PIECE = 1
export const METADATA_REJECT = 2
/** Largest info dictionary: that of the largest blob (protocol/metainfo.md, Limits). */
export const INFO_BYTES_MAX: number = 262_144 * 20 + 1024
/** Longest bencoded head of a metadata message. */
const HEAD_BYTES_MAX = 1024
/** Requests on their way at once. */
const REQUESTS_MAX = 4

/** A metadata message, read; `piece` is in the bounds of a safe integer. */
export interface MetadataMessage {
  readonly kind: number
  readonly piece: number
  /** What follows the head: the bytes of a piece. */
  readonly rest: Uint8Array
}

/** Reads a metadata message; undefined for one that is malformed, or longer than it may be. */
export function parseMetadataMessage(payload: Uint8Array): MetadataMessage | undefined {
  if (payload.length > METADATA_BYTES + HEAD_BYTES_MAX) return undefined
  try {
    const { value, end } = parseBencodePrefix(payload)
    if (!(value instanceof Map)) return undefined
    const kind: unknown = value.get("msg_type")
    const piece: unknown = value.get("piece")
    if (typeof kind !== "number" || typeof piece !== "number" || piece < 0) return undefined
    return { kind, piece, rest: payload.subarray(end) }
  } catch {
    // BEP 9: what cannot be read is ignored.
    return undefined
  }
}

export class MetadataFetch {
  readonly #infoHash: Uint8Array
  readonly #bytes: Uint8Array
  readonly #send: (payload: Uint8Array) => void
  readonly #missing: Set<number>
  #next = 0
  #isOver = false

  /**
   * @param options.sizeBytes - size that the other side told, at most {@link INFO_BYTES_MAX}
   * @param options.send - sends a metadata message
   */
  constructor(options: {
    infoHash: Uint8Array
    sizeBytes: number
    send: (payload: Uint8Array) => void
  }) {
    this.#infoHash = options.infoHash
    this.#bytes = new Uint8Array(options.sizeBytes)
    this.#send = options.send
    const count = Math.ceil(options.sizeBytes / METADATA_BYTES)
    this.#missing = new Set(Array.from({ length: count }, (_, index) => index))
    for (let sent = 0; sent < REQUESTS_MAX; sent++) this.#ask()
  }

  /**
   * Takes a message of the other side.
   * @returns the info dictionary once all of it is here and right; a fault when it never will be
   */
  take(message: MetadataMessage): Uint8Array | WireFault | undefined {
    if (this.#isOver) return undefined
    if (message.kind === METADATA_REJECT) return this.#fail("it refuses its metadata")
    if (message.kind !== METADATA_PIECE || !this.#missing.has(message.piece)) return undefined
    const start = message.piece * METADATA_BYTES
    const length = Math.min(METADATA_BYTES, this.#bytes.length - start)
    if (message.rest.length !== length) return this.#fail("a metadata piece of another length")
    this.#bytes.set(message.rest, start)
    this.#missing.delete(message.piece)
    if (this.#missing.size > 0) {
      this.#ask()
      return undefined
    }
    const actual = createHash("sha1").update(this.#bytes).digest()
    if (Buffer.compare(actual, this.#infoHash) !== 0)
      return this.#fail("metadata of another torrent")
    this.#isOver = true
    return this.#bytes
  }

  #ask(): void {
    const piece = this.#next
    if (piece * METADATA_BYTES >= this.#bytes.length) return
    this.#next++
    this.#send(encodeBencode(dictionaryOf({ msg_type: METADATA_REQUEST, piece })))
  }

  #fail(message: string): WireFault {
    this.#isOver = true
    return { code: "EXTENSION_INVALID", message }
  }
}
