/**
 * What the index holds about blobs and pins. A record of a partial blob stands beside one key per
 * piece that is there; a complete blob has its SHA-256 list under one key.
 * @module
 */
import { type Digest, hexOf, isDigest, SHA256_BYTES } from "../core/digest.ts"
import type { KvChange } from "./kv.ts"
import type { DurableKv } from "./level-kv.ts"
import type { Pin } from "./store.ts"

/** One blob as the index knows it. */
export interface BlobRecord {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly isComplete: boolean
  readonly isShared: boolean
  readonly lastUsedMs: number
  /** The boot of the machine in which a partial blob's pieces were written. */
  readonly bootId: string
}

const BLOB = "blob/"
const LIST = "list/"
const PIECE = "piece/"
const PIN = "pin/"
const INDEX_DIGITS = 8
/** A store that was never opened has none; so a lost index is told from an empty one. */
const VERSION_KEY = "version"
const VERSION = "1"

/** The store's own part of the index. */
export class BlobIndex {
  readonly #kv: DurableKv

  constructor(kv: DurableKv) {
    this.#kv = kv
  }

  /** Tells whether this index is new. */
  get isNew(): boolean {
    return this.#kv.get(VERSION_KEY) === undefined
  }

  async begin(): Promise<void> {
    await this.#kv.batch([put(VERSION_KEY, Buffer.from(VERSION))], { isSync: true })
  }

  /** Gives all records; undefined in place of one that cannot be read. */
  async *blobs(): AsyncIterable<readonly [digest: Digest, record: BlobRecord | undefined]> {
    for await (const [key, value] of this.#kv.scan(BLOB)) {
      const digest = `sha256:${key.slice(BLOB.length)}`
      if (isDigest(digest)) yield [digest, parseRecord(digest, value)]
    }
  }

  /** Gives the pieces of a partial blob that are there, in order. */
  async *pieces(digest: Digest): AsyncIterable<readonly [index: number, sha256: Uint8Array]> {
    const prefix = `${PIECE}${hexOf(digest)}/`
    for await (const [key, value] of this.#kv.scan(prefix)) {
      yield [Number.parseInt(key.slice(prefix.length), 16), value]
    }
  }

  /** Gives the SHA-256 list of a complete blob. */
  list(digest: Digest): Uint8Array | undefined {
    return this.#kv.get(LIST + hexOf(digest))
  }

  /** Gives the SHA-256 of a piece of a partial blob. */
  pieceSha256(digest: Digest, index: number): Uint8Array | undefined {
    return this.#kv.get(pieceKey(digest, index))
  }

  putBlob(record: BlobRecord): Promise<void> {
    return this.#kv.batch([putRecord(record)])
  }

  putPiece(digest: Digest, index: number, sha256: Uint8Array): Promise<void> {
    return this.#kv.batch([put(pieceKey(digest, index), sha256)])
  }

  dropPieces(digest: Digest, indexes: readonly number[]): Promise<void> {
    return this.#kv.batch(indexes.map((index) => del(pieceKey(digest, index))))
  }

  /**
   * Notes a blob as complete, durably against a loss of power.
   * @param options.isNew - nothing was noted of it, so there is nothing to forget
   */
  complete(
    record: BlobRecord,
    list: Uint8Array,
    { isNew }: { isNew: boolean } = { isNew: false },
  ): Promise<void> {
    const changes = [putRecord(record), put(LIST + hexOf(record.digest), list)]
    const count = isNew ? 0 : list.length / SHA256_BYTES
    for (let index = 0; index < count; index++) changes.push(del(pieceKey(record.digest, index)))
    return this.#kv.batch(changes, { isSync: true })
  }

  /** Notes a blob that was complete as partial, with the pieces of `list` that are still good. */
  demote(record: BlobRecord, list: Uint8Array, isGood: (index: number) => boolean): Promise<void> {
    const changes = [putRecord(record), del(LIST + hexOf(record.digest))]
    for (let index = 0; index * SHA256_BYTES < list.length; index++) {
      if (isGood(index)) changes.push(put(pieceKey(record.digest, index), hashAt(list, index)))
    }
    return this.#kv.batch(changes)
  }

  /** @param pieces - those that a partial blob has */
  remove(digest: Digest, pieces: Iterable<number>): Promise<void> {
    const hex = hexOf(digest)
    const changes = [del(BLOB + hex), del(LIST + hex)]
    for (const index of pieces) changes.push(del(pieceKey(digest, index)))
    return this.#kv.batch(changes)
  }

  async *pins(): AsyncIterable<Pin> {
    for await (const [key, value] of this.#kv.scan(PIN)) {
      const pin = parsePin(key.slice(PIN.length), Buffer.from(value).toString())
      if (pin !== undefined) yield pin
    }
  }

  putPin(pin: Pin): Promise<void> {
    const { digests, minReplicas } = pin
    const record = minReplicas === undefined ? digests : { digests, minReplicas }
    return this.#kv.batch([put(PIN + pin.name, Buffer.from(JSON.stringify(record)))], {
      isSync: true,
    })
  }

  dropPin(name: string): Promise<void> {
    return this.#kv.batch([del(PIN + name)])
  }
}

/** Reads the record of a pin: its digests alone, or with the copies that it wants. */
function parsePin(name: string, text: string): Pin | undefined {
  const record: unknown = JSON.parse(text)
  if (Array.isArray(record)) return { name, digests: record }
  const { digests, minReplicas } = record as { digests?: unknown; minReplicas?: unknown }
  if (!Array.isArray(digests) || typeof minReplicas !== "number") return undefined
  return { name, digests, minReplicas }
}

/** Gives the SHA-256 of piece `index` out of a list. */
export function hashAt(list: Uint8Array, index: number): Uint8Array {
  return list.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
}

function pieceKey(digest: Digest, index: number): string {
  return `${PIECE}${hexOf(digest)}/${index.toString(16).padStart(INDEX_DIGITS, "0")}`
}

function put(key: string, value: Uint8Array): KvChange {
  return { kind: "put", key, value }
}

function del(key: string): KvChange {
  return { kind: "del", key }
}

function putRecord(record: BlobRecord): KvChange {
  const { digest, ...fields } = record
  return put(BLOB + hexOf(digest), Buffer.from(JSON.stringify(fields)))
}

function parseRecord(digest: Digest, value: Uint8Array): BlobRecord | undefined {
  try {
    const fields: unknown = JSON.parse(Buffer.from(value).toString())
    return isFields(fields) ? { digest, ...fields } : undefined
  } catch {
    // Not JSON: the caller drops the record; its blob is fetched anew.
    return undefined
  }
}

function isFields(value: unknown): value is Omit<BlobRecord, "digest"> {
  if (typeof value !== "object" || value === null) return false
  const fields = value as Partial<Record<keyof BlobRecord, unknown>>
  return (
    Number.isSafeInteger(fields.sizeBytes) &&
    (fields.sizeBytes as number) >= 0 &&
    typeof fields.isComplete === "boolean" &&
    typeof fields.isShared === "boolean" &&
    typeof fields.lastUsedMs === "number" &&
    typeof fields.bootId === "string"
  )
}
