/**
 * Manifests as blobs of the store: reading, keeping, and whether what one names can be delivered.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { MANIFEST_BYTES_MAX } from "../core/limits.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { BlobStore } from "../store/store.ts"
import { within } from "./deadline.ts"
import { RegistryError } from "./errors.ts"
import { type Descriptor, type Manifest, parseManifest } from "./manifest.ts"
import type { NamedDigest, NameIndex } from "./name-index.ts"
import type { Place } from "./place.ts"
import type { RegistryRights } from "./rights.ts"

/** A manifest in hand. */
export interface LoadedManifest {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly manifest: Manifest
}

/** What is known of a manifest before it is in hand. */
export interface ManifestHint {
  readonly sizeBytes?: number | undefined
  readonly mediaType?: string | undefined
}

/** Time for a manifest to come from peers: it is small, and an upstream may be the other way. */
const PEERS_MS_MAX = 1_500
/** So many manifests of an index are looked at for one that can be delivered. */
const CHILDREN_TRIED_MAX = 16

export interface ManifestShelfDeps {
  readonly net: PeerNetwork
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly names: NameIndex
  readonly clock: Clock
  readonly rights: RegistryRights
}

export class ManifestShelf {
  readonly #net: PeerNetwork
  readonly #store: BlobStore
  readonly #delivery: Delivery
  readonly #names: NameIndex
  readonly #clock: Clock
  readonly #rights: RegistryRights

  constructor(deps: ManifestShelfDeps) {
    this.#net = deps.net
    this.#store = deps.store
    this.#delivery = deps.delivery
    this.#names = deps.names
    this.#clock = deps.clock
    this.#rights = deps.rights
  }

  /** Tells whether a manifest is in the store whole. */
  has(digest: Digest): boolean {
    return this.#store.stat(digest)?.isComplete === true
  }

  /** Reads a manifest from the store; undefined when it is not there whole. */
  async read(digest: Digest, mediaType?: string): Promise<LoadedManifest | undefined> {
    const reader = this.#store.open(digest)
    if (reader === undefined) return undefined
    try {
      const { sizeBytes } = reader.layout
      if (!reader.isComplete) return undefined
      if (sizeBytes === 0 || sizeBytes > MANIFEST_BYTES_MAX) {
        throw new RegistryError("MANIFEST_INVALID", `${digest} has ${sizeBytes} bytes`)
      }
      const bytes = await reader.read({ start: 0, end: sizeBytes })
      return { digest, bytes, manifest: parseManifest(bytes, mediaType) }
    } catch (error) {
      // The store dropped what its disk lied about; whoever asks brings it anew.
      if (codeOf(error) === "BLOB_CORRUPT" || codeOf(error) === "PIECE_MISSING") return undefined
      throw error
    } finally {
      reader.release()
    }
  }

  /** Brings a manifest from peers, within a short time; undefined when that fails. */
  async bringFromPeers(
    digest: Digest,
    hint: ManifestHint,
    signal: AbortSignal,
  ): Promise<LoadedManifest | undefined> {
    const { sizeBytes } = hint
    // A node that is alone need not wait to find out that nobody answers.
    if (this.#net.peers().length === 0) return undefined
    if (sizeBytes !== undefined && sizeBytes > MANIFEST_BYTES_MAX) return undefined
    const late = () => new RegistryError("MANIFEST_UNKNOWN", `no peer sent ${digest} in time`)
    try {
      await within({ clock: this.#clock, limitMs: PEERS_MS_MAX, signal, late }, async (inner) => {
        await this.#delivery.findAtHand([digest], { signal: inner })
        const request = sizeBytes === undefined ? { digest } : { digest, sizeBytes }
        return this.#delivery.ensure(request, { signal: inner })
      })
      return await this.read(digest, hint.mediaType)
    } catch (error) {
      signal.throwIfAborted()
      if (codeOf(error) === undefined) throw error
      // Peers are one source of several: whoever asks knows what it means that they failed.
      return undefined
    }
  }

  /** Keeps a manifest that came from an upstream or a client; its bytes have the digest. */
  async keep(loaded: LoadedManifest, options: { isShared: boolean }): Promise<void> {
    if (this.has(loaded.digest)) return
    await this.#store.ingest(oneChunk(loaded.bytes), {
      expected: loaded.digest,
      sizeBytesMax: MANIFEST_BYTES_MAX,
      isShared: options.isShared,
    })
  }

  /** Tells whether all that an image names is here or at a connected peer; of an index, one image. */
  async isDeliverable(
    { manifest }: LoadedManifest,
    signal: AbortSignal,
    depth = 2,
  ): Promise<boolean> {
    const blobs = manifest.blobs.map(({ digest }) => digest)
    const found = await this.#delivery.findAtHand(blobs, { signal })
    if (blobs.some((digest) => !found.has(digest))) return false
    if (!manifest.isIndex || manifest.manifests.length === 0) return true
    if (depth === 0) return false
    const isNear = ({ digest }: Descriptor) => this.#delivery.isAtHand(digest)
    const near = manifest.manifests.filter(isNear)
    if (await this.#isOneDeliverable(near, signal, depth - 1)) return true
    const far = manifest.manifests.filter((child) => !near.includes(child))
    const digests = far.map(({ digest }) => digest)
    const asked = await this.#delivery.findAtHand(digests, { signal })
    const others = far.filter(({ digest }) => asked.has(digest))
    return this.#isOneDeliverable(others, signal, depth - 1)
  }

  async #isOneDeliverable(
    children: readonly Descriptor[],
    signal: AbortSignal,
    depth: number,
  ): Promise<boolean> {
    for (const child of children.slice(0, CHILDREN_TRIED_MAX)) {
      const loaded =
        (await this.read(child.digest)) ??
        (await this.bringFromPeers(child.digest, { sizeBytes: child.sizeBytes }, signal))
      if (loaded !== undefined && (await this.isDeliverable(loaded, signal, depth))) return true
    }
    return false
  }

  /** Notes that a repository has a manifest, and with it all that the manifest names. */
  async admit(place: Place, loaded: LoadedManifest, options: { isProved: boolean }): Promise<void> {
    const { manifest, digest, bytes } = loaded
    // A client may push an index of manifests that it did not push: that gives them no name.
    const isPushedHere =
      place.origin === undefined && this.#names.find(place, digest)?.isProved === true
    const own: NamedDigest = {
      digest,
      kind: "manifest",
      sizeBytes: bytes.length,
      mediaType: manifest.mediaType,
      isProved: options.isProved,
    }
    const blobs = [...manifest.blobs, ...manifest.foreign].map(
      ({ digest: named, sizeBytes }): NamedDigest => ({
        digest: named,
        kind: "blob",
        sizeBytes,
        mediaType: undefined,
        isProved: false,
      }),
    )
    const children = (isPushedHere ? [] : manifest.manifests).map(
      ({ digest: named, sizeBytes, mediaType }): NamedDigest => ({
        digest: named,
        kind: "manifest",
        sizeBytes,
        mediaType: mediaType === "" ? undefined : mediaType,
        isProved: false,
      }),
    )
    await this.#names.admit(place, [own, ...children, ...blobs])
    // Registries check neither what is not distributable nor the manifests of an index: these belong here
    // only once they are here by themselves.
    await this.#rights.propose(place, [digest, ...manifest.blobs.map((blob) => blob.digest)])
  }
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
