/**
 * Where blobs belong: the namespaces (`acme`) and repositories (`docker.io/library/alpine`) under which
 * this node came by them. In a fleet who may have a blob is decided by them; the digest alone opens
 * nothing (protocol/registry-profile.md §6).
 * @module
 */
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import { assert, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Kv, KvChange } from "./kv.ts"
import type { BlobStore } from "./store.ts"

/** Places that are kept of one blob; what comes later is ignored. */
export const PLACES_PER_BLOB_MAX = 64
/** Blobs whose places are kept: twice what a peer is told of. Those that are not here go first. */
export const PLACED_BLOBS_MAX = 200_000
/** A registry, a slash and a repository fit. */
const PLACE = /^[\x21-\x7e]{1,511}$/
const THERE: Uint8Array = Uint8Array.of(1)
const NOWHERE: readonly string[] = []

export interface BlobPlacesDeps {
  /** A part of the index of its own. */
  readonly kv: Kv
  readonly store: Pick<BlobStore, "stat" | "onChange">
  readonly log: Logger
}

/** The places of one node's blobs: in memory, and in the index over restarts. */
export class BlobPlaces {
  readonly #deps: BlobPlacesDeps
  readonly #blobsMax: number
  /** In the order in which they came. */
  readonly #places = new Map<Digest, readonly string[]>()
  /** Those of them that were not here when they came, in that order; some may have come meanwhile. */
  readonly #awaited = new Set<Digest>()
  readonly #listeners = new Set<{ readonly call: (digest: Digest) => void }>()
  readonly #stopStore: () => void

  private constructor(deps: BlobPlacesDeps, blobsMax: number) {
    this.#deps = deps
    this.#blobsMax = blobsMax
    this.#stopStore = deps.store.onChange(({ kind, digest }) => {
      if (kind === "removed") this.#drop(digest)
    })
  }

  /** Reads what the index holds. @param options.blobsMax - see {@link PLACED_BLOBS_MAX} */
  static async load(
    deps: BlobPlacesDeps,
    options: { blobsMax?: number } = {},
  ): Promise<BlobPlaces> {
    const places = new BlobPlaces(deps, options.blobsMax ?? PLACED_BLOBS_MAX)
    for await (const [key] of deps.kv.scan("")) {
      const [hex = "", place = ""] = key.split(" ")
      const digest = `sha256:${hex}`
      if (isDigest(digest) && PLACE.test(place)) places.#note(digest, place)
    }
    return places
  }

  /** Gives the places of a blob; none when it has none, or is not known. */
  placesOf(digest: Digest): readonly string[] {
    return this.#places.get(digest) ?? NOWHERE
  }

  /**
   * Notes a place that is proved: a client brought the bytes there, a release says so, or the place's
   * origin showed that it has them.
   * @param place - a namespace, or a registry, a slash and a repository
   */
  async add(digest: Digest, place: string): Promise<void> {
    assert(PLACE.test(place), `${JSON.stringify(place)} is no place`)
    if (!this.#note(digest, place)) return
    this.#tell(digest)
    await this.#deps.kv.put(keyOf(digest, place), THERE)
  }

  /**
   * Notes a place that is only said: a manifest there names the blob. What is here under another place
   * gets none by that, or whoever may write a manifest could have anything by its digest.
   */
  async propose(digest: Digest, place: string): Promise<void> {
    const isElsewhere =
      this.placesOf(digest).length > 0 && this.#deps.store.stat(digest) !== undefined
    if (!isElsewhere) await this.add(digest, place)
  }

  /** Takes a place away: there the blob was deleted. */
  async remove(digest: Digest, place: string): Promise<void> {
    const known = this.placesOf(digest)
    if (!known.includes(place)) return
    const left = known.filter((other) => other !== place)
    if (left.length > 0) this.#places.set(digest, left)
    else this.#forget(digest)
    this.#tell(digest)
    await this.#deps.kv.del(keyOf(digest, place))
  }

  /** Called when a blob got a place, or lost one while it is here. @returns the way to stop listening */
  onChange(call: (digest: Digest) => void): () => void {
    const listener = { call }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Hears of the store no more. */
  stop(): void {
    this.#stopStore()
  }

  #tell(digest: Digest): void {
    for (const { call } of [...this.#listeners]) call(digest)
  }

  /** @returns whether it is news */
  #note(digest: Digest, place: string): boolean {
    const known = this.placesOf(digest)
    if (known.includes(place) || known.length >= PLACES_PER_BLOB_MAX) return false
    if (known.length === 0) {
      this.#makeRoom()
      if (this.#deps.store.stat(digest) === undefined) this.#awaited.add(digest)
    }
    this.#places.set(digest, [...known, place])
    return true
  }

  #makeRoom(): void {
    if (this.#places.size < this.#blobsMax) return
    for (const digest of this.#awaited) {
      this.#awaited.delete(digest)
      if (this.#deps.store.stat(digest) === undefined) return void this.#drop(digest)
    }
    const [oldest] = this.#places.keys()
    if (oldest !== undefined) this.#drop(oldest)
  }

  #forget(digest: Digest): void {
    this.#places.delete(digest)
    this.#awaited.delete(digest)
  }

  #drop(digest: Digest): void {
    const places = this.placesOf(digest)
    if (places.length === 0) return
    this.#forget(digest)
    const changes = places.map((place): KvChange => ({ kind: "del", key: keyOf(digest, place) }))
    this.#deps.kv.batch(changes).catch((error: unknown) => {
      this.#deps.log.warn({ digest, error: messageOf(error) }, "places of a blob stay in the index")
    })
  }
}

const keyOf = (digest: Digest, place: string): string => `${hexOf(digest)} ${place}`
