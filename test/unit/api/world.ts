/**
 * A node's rooms in memory, as the control API sees them, with an upstream that images can be put on.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { type ControlDeps, createControlApp } from "../../../src/api/control.ts"
import type { FoundManifest, ImageSource, KnownTag } from "../../../src/api/image-source.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { encodeImageReference, type ImageReference } from "../../../src/core/reference.ts"
import type { Delivery, FlightReport } from "../../../src/delivery/delivery.ts"
import { DeliveryError } from "../../../src/delivery/errors.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createSwarm } from "../../../src/swarm/engine.ts"
import { LimitKeeper } from "../../../src/swarm/limit-keeper.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { PublicBook } from "../../../src/swarm/public/public-book.ts"
import { createPublicSide } from "../../../src/swarm/public/public-side.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"
import { Zones } from "../../../src/swarm/zones.ts"

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
const REGISTRY = "registry.example"
export const TRACKER = "wss://tracker.example"

/** What stands beyond the node. */
export interface World {
  readonly app: FastifyInstance
  readonly deps: ControlDeps
  readonly store: MemoryStore
  /** Puts an image with the given layers upstream. @returns the digests, manifest first */
  putImage(repository: string, layers: readonly string[], tag?: string): Promise<readonly Digest[]>
  /** Puts an index over images upstream. */
  putIndex(repository: string, manifests: readonly (readonly [string, Digest])[]): Promise<Digest>
  /** Blobs of this digest cannot be had from now on. */
  lose(digest: Digest): void
  close(): Promise<void>
}

/** Makes a world. @param rooms - the fleet and the releases of the node, if it has any */
export async function openWorld(
  rooms: Pick<ControlDeps, "fleet" | "releases"> = {},
): Promise<World> {
  const store = createMemoryStore({ clock: systemClock })
  const upstream = new MemoryUpstream(store)
  const net = createMemoryHub().join({ seed: new Uint8Array(32).fill(1) })
  const metrics = new MemoryMetrics()
  const room = { store, clock: systemClock, log: silentLogger, metrics }
  const book = await PublicBook.load(store.kv("public"))
  const swarm = createSwarm({ ...room, net }, { isPublic: (digest) => book.has(digest) })
  const publicSide = createPublicSide(
    { ...room, swarm, book, discovery: [] },
    { listen: { host: "127.0.0.1", port: 0 }, trackers: [TRACKER], reachesPrivate: false },
  )
  const delivery = upstream.delivery()
  const classes = new PeerClasses({ net, isSameZone: () => false })
  const shaping = new Shaping({ clock: systemClock, classes })
  const plan = { base: { up: 5_000_000 }, rules: [] }
  const keeper = new LimitKeeper({ clock: systemClock, log: silentLogger, shaping }, plan)
  const zones = new Zones({ net, clock: systemClock, log: silentLogger })
  const limits = { keeper, shaping, zones }
  const base = { store, net, swarm, publicSide, delivery, images: upstream, limits }
  const deps = { ...base, ...rooms, clock: systemClock, log: silentLogger }
  const app = createControlApp(deps, {
    describe: () => ({
      peerId: net.id,
      http: "http://127.0.0.1:7070",
      p2p: [],
      control: "/nowhere/control.sock",
      pid: 1,
      version: "0.0.0",
    }),
    isReady: () => true,
    data: "/nowhere",
    config: [{ key: "lan", value: false, source: "default" }],
  })
  return {
    app,
    deps,
    store,
    putImage: (repository, layers, tag) => upstream.putImage(repository, layers, tag),
    putIndex: (repository, manifests) => upstream.putIndex(repository, manifests),
    lose: (digest) => upstream.blobs.delete(digest),
    async close() {
      await app.close()
      await publicSide.stop()
      await swarm.stop()
    },
  }
}

class MemoryUpstream implements ImageSource {
  readonly blobs = new Map<Digest, Uint8Array>()
  readonly #store: MemoryStore
  readonly #types = new Map<Digest, string>()
  readonly #tags = new Map<string, KnownTag>()

  constructor(store: MemoryStore) {
    this.#store = store
  }

  async putImage(repository: string, layers: readonly string[], tag = "latest") {
    const [config, ...rest] = ["{}", ...layers].map((text) => this.#put(text, LAYER_TYPE))
    const body = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: rest }
    const { digest } = this.#put(JSON.stringify(body), MANIFEST_TYPE)
    this.#tag(repository, tag, digest)
    return [digest, ...[config!, ...rest].map((entry) => entry.digest)]
  }

  async putIndex(repository: string, manifests: readonly (readonly [string, Digest])[]) {
    const entries = manifests.map(([platform, digest]) => {
      const [os, architecture] = platform.split("/")
      const size = this.blobs.get(digest)!.length
      return { mediaType: MANIFEST_TYPE, digest, size, platform: { os, architecture } }
    })
    const { digest } = this.#put(
      JSON.stringify({ schemaVersion: 2, manifests: entries }),
      INDEX_TYPE,
    )
    this.#tag(repository, "latest", digest)
    return digest
  }

  isRegistryKey(): boolean {
    return false
  }

  async manifest(reference: ImageReference): Promise<FoundManifest | undefined> {
    const digest = reference.digest ?? this.#tags.get(encodeImageReference(reference))?.digest
    const bytes = digest === undefined ? undefined : this.blobs.get(digest)
    if (digest === undefined || bytes === undefined) return undefined
    if (this.#store.stat(digest) === undefined) await this.#store.ingest(once(bytes), {})
    const namedBy = reference.digest === undefined ? "upstream" : "digest"
    return { digest, mediaType: this.#types.get(digest)!, bytes, namedBy }
  }

  originOf({ registry, repository }: ImageReference) {
    return registry === undefined ? undefined : { registry, repository }
  }

  async *tags(): AsyncIterable<KnownTag> {
    for (const tag of this.#tags.values()) {
      if (this.#store.stat(tag.digest) !== undefined) yield tag
    }
  }

  async forgetTag(reference: ImageReference): Promise<boolean> {
    return this.#tags.delete(encodeImageReference(reference))
  }

  async releaseManifest(): Promise<void> {}

  /** A delivery whose only origin is this upstream. */
  delivery(): Delivery {
    return {
      flights: () => [],
      isAtHand: (digest) => this.#store.stat(digest) !== undefined,
      findAtHand: async (digests) =>
        new Set(digests.filter((digest) => this.#store.stat(digest) !== undefined)),
      size: async ({ digest }) => this.blobs.get(digest)?.length,
      stop: async () => {},
      open: () => Promise.reject(new TypeError("not used by the control API")),
      ensure: async ({ digest }, { onProgress }) => {
        const bytes = this.blobs.get(digest)
        if (bytes === undefined) throw new DeliveryError("BLOB_UNKNOWN", `${digest} is nowhere`)
        onProgress?.(flightOf(digest, bytes.length))
        return await this.#store.ingest(once(bytes), { expected: digest })
      },
    }
  }

  #put(text: string, mediaType: string) {
    const bytes = Buffer.from(text)
    const digest = digestOf(bytes)
    this.blobs.set(digest, bytes)
    this.#types.set(digest, mediaType)
    return { mediaType, digest, size: bytes.length }
  }

  #tag(repository: string, tag: string, digest: Digest): void {
    const name = { registry: REGISTRY, repository, tag, digest: undefined }
    const mediaType = this.#types.get(digest)!
    this.#tags.set(encodeImageReference(name), { name, digest, mediaType })
  }
}

function flightOf(digest: Digest, sizeBytes: number): FlightReport {
  const sums = { haveBytes: sizeBytes, fromPeersBytes: 0, fromOriginBytes: sizeBytes }
  return { digest, sizeBytes, ...sums, sources: [], state: "fetching" }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
