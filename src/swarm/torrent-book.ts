/**
 * The torrents of complete blobs: SHA-1 lists, made once by reading the blob and kept in the index,
 * and which blob an info-hash stands for.
 * @module
 */
import { createHash } from "node:crypto"
import { type Digest, digestOfRaw, hexOf, rawOf, SHA1_BYTES } from "../core/digest.ts"
import { pieceRange } from "../core/piece.ts"
import type { Kv } from "../store/kv.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"
import { type Metainfo, metainfoOf } from "./metainfo.ts"

export class TorrentBook {
  readonly #store: BlobStore
  readonly #kv: Kv
  /** Blobs that are being hashed: each once, however many ask. */
  readonly #hashing = new Map<Digest, Promise<Metainfo | undefined>>()

  constructor(deps: { store: BlobStore; kv: Kv }) {
    this.#store = deps.store
    this.#kv = deps.kv
  }

  /**
   * Gives the metainfo of a complete blob; reads all of it the first time.
   * @returns undefined unless the blob is complete here
   * @throws StoreError when it cannot be read
   */
  of(digest: Digest): Promise<Metainfo | undefined> {
    const known = this.#known(digest)
    if (known !== undefined) return Promise.resolve(known)
    const running = this.#hashing.get(digest)
    if (running !== undefined) return running
    const hashing = this.#hash(digest).finally(() => this.#hashing.delete(digest))
    this.#hashing.set(digest, hashing)
    return hashing
  }

  /** Gives the blob that an info-hash stands for, if its torrent was made here. */
  digestOf(infoHash: Uint8Array): Digest | undefined {
    const raw = this.#kv.get(`hash/${Buffer.from(infoHash).toString("hex")}`)
    return raw === undefined ? undefined : digestOfRaw(raw)
  }

  /** Gives the metainfo of a blob, if it was made here and the blob is still complete. */
  known(digest: Digest): Metainfo | undefined {
    return this.#known(digest)
  }

  #known(digest: Digest): Metainfo | undefined {
    const stat = this.#store.stat(digest)
    const list = this.#kv.get(`sha1/${hexOf(digest)}`)
    if (stat?.isComplete !== true || list === undefined) return undefined
    if (list.length !== stat.layout.count * SHA1_BYTES) return undefined
    return metainfoOf(digest, stat.layout, list)
  }

  async #hash(digest: Digest): Promise<Metainfo | undefined> {
    const reader = this.#store.open(digest)
    if (reader === undefined) return undefined
    try {
      if (!reader.isComplete) return undefined
      const list = await hashPieces(reader)
      const metainfo = metainfoOf(digest, reader.layout, list)
      const name = Buffer.from(metainfo.infoHash).toString("hex")
      await this.#kv.batch([
        { kind: "put", key: `sha1/${hexOf(digest)}`, value: list },
        { kind: "put", key: `hash/${name}`, value: rawOf(digest) },
      ])
      return metainfo
    } finally {
      reader.release()
    }
  }
}

async function hashPieces(reader: BlobReader): Promise<Uint8Array> {
  const { layout } = reader
  const list = new Uint8Array(layout.count * SHA1_BYTES)
  const buffer = new Uint8Array(Math.min(layout.lengthBytes, layout.sizeBytes))
  for (let index = 0; index < layout.count; index++) {
    const bytes = await reader.read(pieceRange(layout, index), buffer)
    list.set(createHash("sha1").update(bytes).digest(), index * SHA1_BYTES)
  }
  return list
}
