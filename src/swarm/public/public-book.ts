/**
 * Which blobs the owner of this node has made public: a durable mark by digest. Nothing is public
 * unless it stands here.
 * @module
 */
import { type Digest, digestOfRaw, hexOf } from "../../core/digest.ts"
import type { Kv } from "../../store/kv.ts"
import { SwarmError } from "../errors.ts"

/** Blobs of one node that are public. */
export const PUBLIC_MAX = 4096
const MARK = Buffer.from("1")
const PREFIX = "blob/"

export class PublicBook {
  readonly #kv: Kv
  readonly #digests = new Set<Digest>()

  /** Reads the marks. @param kv - a part of the index for this book alone */
  static async load(kv: Kv): Promise<PublicBook> {
    const book = new PublicBook(kv)
    for await (const [key] of kv.scan(PREFIX, { limit: PUBLIC_MAX })) {
      book.#digests.add(digestOfRaw(Buffer.from(key.slice(PREFIX.length), "hex")))
    }
    return book
  }

  private constructor(kv: Kv) {
    this.#kv = kv
  }

  has(digest: Digest): boolean {
    return this.#digests.has(digest)
  }

  digests(): readonly Digest[] {
    return [...this.#digests]
  }

  /** Marks a blob. @throws SwarmError `PUBLIC_REFUSED` when there are too many */
  async add(digest: Digest): Promise<void> {
    if (this.#digests.has(digest)) return
    if (this.#digests.size >= PUBLIC_MAX) {
      throw new SwarmError("PUBLIC_REFUSED", `${PUBLIC_MAX} blobs are public already`)
    }
    await this.#kv.put(PREFIX + hexOf(digest), MARK)
    this.#digests.add(digest)
  }

  /** Takes the mark away, at once for who asks, then on disk. @returns whether there was one */
  async remove(digest: Digest): Promise<boolean> {
    const wasThere = this.#digests.delete(digest)
    if (wasThere) await this.#kv.del(PREFIX + hexOf(digest))
    return wasThere
  }
}
