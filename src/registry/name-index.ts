/**
 * Which names a blob has: the repositories under which it was reached at an upstream that answered, or
 * was pushed. It is served under no other name (protocol/registry-profile.md §6).
 * @module
 */
import { type Digest, hexOf } from "../core/digest.ts"
import { asCount, asObject, asText, encodeJson, field, parseJson } from "../core/json.ts"
import type { Kv, KvChange } from "../store/kv.ts"
import { type Place, placeKey } from "./place.ts"

/** What is known of a blob under one name. */
export interface NameRecord {
  /** `deleted`: it was taken away under this name and stays away until it is pushed again. */
  readonly kind: "manifest" | "blob" | "deleted"
  /** Undefined when the descriptor did not tell. */
  readonly sizeBytes: number | undefined
  readonly mediaType: string | undefined
  /**
   * True when the upstream itself gave this very blob under this name, or a client pushed it there;
   * false when a manifest or a peer only named it. Content that goes to no other node needs the proof.
   */
  readonly isProved: boolean
}

/** A record and what it is of. */
export interface NamedDigest extends NameRecord {
  readonly digest: Digest
}

/** Most names that are looked through for one blob. */
const NAMES_MAX = 1_000

/** The records of one node, in a part of its index. */
export class NameIndex {
  readonly #kv: Kv

  constructor(kv: Kv) {
    this.#kv = kv
  }

  /** Gives the record of a blob under a name; undefined when it does not have that name. */
  find(place: Place, digest: Digest): NameRecord | undefined {
    const value = this.#kv.get(keyOf(place, digest))
    return value === undefined ? undefined : parseRecord(value)
  }

  /** Notes names. A proof that is there stays. */
  async admit(place: Place, entries: readonly NamedDigest[]): Promise<void> {
    const changes = new Map<string, KvChange>()
    for (const entry of entries) {
      const known = this.find(place, entry.digest)
      if (known !== undefined && !isNews(known, entry)) continue
      const key = keyOf(place, entry.digest)
      const isProved = entry.isProved || (known?.isProved === true && known.kind !== "deleted")
      changes.set(key, { kind: "put", key, value: encodeRecord({ ...entry, isProved }) })
    }
    if (changes.size > 0) await this.#kv.batch([...changes.values()])
  }

  /** Takes a name away: the blob is not served under it even if a peer still has it so. */
  async remove(place: Place, digest: Digest): Promise<void> {
    const record = { sizeBytes: undefined, mediaType: undefined, isProved: false }
    await this.#kv.put(keyOf(place, digest), encodeRecord({ kind: "deleted", ...record }))
  }

  /** Gives the names of a blob, as `registry/repository`, with their records. */
  async *names(digest: Digest): AsyncIterable<readonly [name: string, record: NameRecord]> {
    const prefix = `${hexOf(digest)} `
    for await (const [key, value] of this.#kv.scan(prefix, { limit: NAMES_MAX })) {
      const record = parseRecord(value)
      if (record !== undefined && record.kind !== "deleted")
        yield [key.slice(prefix.length), record]
    }
  }

  /** Forgets a blob that left the store; a manifest that is pulled again brings its names back. */
  async forget(digest: Digest): Promise<void> {
    const changes: KvChange[] = []
    for await (const [key, value] of this.#kv.scan(`${hexOf(digest)} `, { limit: NAMES_MAX })) {
      if (parseRecord(value)?.kind !== "deleted") changes.push({ kind: "del", key })
    }
    if (changes.length > 0) await this.#kv.batch(changes)
  }
}

const keyOf = (place: Place, digest: Digest): string => `${hexOf(digest)} ${placeKey(place)}`

function isNews(known: NameRecord, entry: NameRecord): boolean {
  if (known.kind !== entry.kind) return known.kind !== "manifest"
  if (entry.isProved && !known.isProved) return true
  return entry.mediaType !== undefined && entry.mediaType !== known.mediaType
}

function encodeRecord({ kind, sizeBytes, mediaType, isProved }: NameRecord): Uint8Array {
  return encodeJson({
    kind,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(mediaType === undefined ? {} : { mediaType }),
    isProved,
  })
}

function parseRecord(value: Uint8Array): NameRecord | undefined {
  const body = asObject(parseJson(value))
  const kind = body && field(body, "kind")
  if (body === undefined || (kind !== "manifest" && kind !== "blob" && kind !== "deleted")) {
    return undefined
  }
  return {
    kind,
    sizeBytes: asCount(field(body, "sizeBytes")),
    mediaType: asText(field(body, "mediaType")),
    isProved: field(body, "isProved") === true,
  }
}
