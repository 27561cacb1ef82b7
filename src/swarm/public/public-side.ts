/**
 * Seeds what is public and finds what is sought: ties the marks, the port, and the discovery of
 * clients to the swarm (protocol/public-torrent.md).
 * @module
 */
import type { Clock } from "../../core/clock.ts"
import type { Digest } from "../../core/digest.ts"
import { messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import type { Metrics } from "../../core/metrics.ts"
import type { BlobStore } from "../../store/store.ts"
import type { SwarmEngine } from "../engine.ts"
import { SwarmError } from "../errors.ts"
import type { Metainfo } from "../metainfo.ts"
import type { Discovery, TrackerName } from "./discovery.ts"
import { Outreach } from "./outreach.ts"
import type { PublicSide, PublicTorrent, Seek } from "./public.ts"
import type { PublicBook } from "./public-book.ts"
import { type PublicAddress, PublicListener } from "./public-listener.ts"
import type { TorrentLink } from "./torrent-link.ts"
import { type SharedSeek, TorrentSeek } from "./torrent-seek.ts"

/** What is public is looked at this often: blobs come, go, and become private. */
const LOOK_MS = 1_000
/** Torrents that are looked for at the same time. */
const SEEKS_MAX = 64

export interface PublicSideDeps {
  readonly store: BlobStore
  readonly swarm: Pick<SwarmEngine, "torrentOf" | "servePlain" | "wishPlain" | "closePlain">
  readonly book: PublicBook
  readonly discovery: readonly Discovery[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface PublicSideOptions {
  readonly listen: PublicAddress
  readonly trackers: readonly string[]
  /** Whether strangers may name addresses of this machine and of private networks. */
  readonly reachesPrivate: boolean
}

/** Starts the public side; what was public before is seeded again. */
export function createPublicSide(deps: PublicSideDeps, options: PublicSideOptions): PublicPart {
  return new PublicPart(deps, options)
}

/** One torrent that is seeded. */
interface Seeding {
  readonly metainfo: Metainfo
  readonly outreach: Outreach
  readonly stops: readonly (() => void)[]
}

export class PublicPart implements PublicSide {
  readonly trackers: readonly string[]
  readonly #deps: PublicSideDeps
  readonly #options: PublicSideOptions
  readonly #listener: PublicListener
  readonly #seeding = new Map<Digest, Seeding>()
  readonly #seeks = new Map<string, SharedSeek>()
  #cancelLook: () => void = () => {}
  #looking: Promise<void> | undefined
  #isStopped = false

  constructor(deps: PublicSideDeps, options: PublicSideOptions) {
    this.#deps = deps
    this.#options = options
    this.trackers = options.trackers
    this.#listener = new PublicListener(
      {
        log: deps.log,
        accept: (socket, address) => deps.swarm.servePlain({ duplex: socket }, address),
      },
      options.listen,
    )
    const { metrics } = deps
    metrics.gauge("sealift_public_torrents", "Public blobs that are seeded.", () => {
      return this.#seeding.size
    })
    this.#scheduleLook(0)
  }

  get port(): number | undefined {
    return this.#listener.port
  }

  list(): readonly PublicTorrent[] {
    return this.#deps.book.digests().map((digest) => {
      return { digest, metainfo: this.#seeding.get(digest)?.metainfo }
    })
  }

  isPublic(digest: Digest): boolean {
    return this.#deps.book.has(digest)
  }

  torrentOf(digest: Digest): Promise<Metainfo | undefined> {
    return this.#deps.swarm.torrentOf(digest)
  }

  async publish(digest: Digest): Promise<Metainfo> {
    const { store, swarm, book, log } = this.#deps
    const stat = store.stat(digest)
    if (stat?.isComplete !== true) {
      throw refused(digest, "it is not here, or not complete; fetch it first")
    }
    if (!stat.isShared) {
      throw refused(digest, "its registry asked for credentials, so it must not leave this node")
    }
    const metainfo = await swarm.torrentOf(digest)
    if (metainfo === undefined) throw refused(digest, "it went away meanwhile")
    await this.#listener.open()
    await book.add(digest)
    log.info({ digest, infoHash: hexOf(metainfo.infoHash) }, "a blob is public now")
    await this.#look()
    return metainfo
  }

  async hide(digest: Digest): Promise<boolean> {
    const wasPublic = await this.#deps.book.remove(digest)
    if (wasPublic) this.#deps.log.info({ digest }, "a blob is not public any more")
    await this.#look()
    return wasPublic
  }

  seek(link: TorrentLink): Seek {
    const key = hexOf(link.infoHash)
    let shared = this.#seeks.get(key)
    if (shared === undefined) {
      if (this.#isStopped) throw new SwarmError("SWARM_STOPPED", "the node is shutting down")
      if (this.#seeks.size >= SEEKS_MAX) {
        throw new SwarmError("PUBLIC_REFUSED", `${SEEKS_MAX} torrents are looked for already`)
      }
      const seek = new TorrentSeek(this.#deps, {
        link,
        trackers: this.#trackersOf(link),
        reachesPrivate: this.#options.reachesPrivate,
        port: () => this.port,
      })
      shared = { seek, count: 0 }
      this.#seeks.set(key, shared)
    }
    for (const peer of link.peers) shared.seek.addLinked(peer)
    return this.#share(key, shared)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelLook()
    for (const { seek } of this.#seeks.values()) seek.stop()
    this.#seeks.clear()
    await this.#looking
    for (const digest of [...this.#seeding.keys()]) this.#end(digest)
    this.#listener.close()
    await Promise.all(this.#deps.discovery.map((one) => one.stop()))
  }

  /** The owner's trackers may be anywhere; those of a link are a stranger's word. */
  #trackersOf(link: TorrentLink | undefined): readonly TrackerName[] {
    const own = this.trackers.map((url) => ({ url, mayBePrivate: true }))
    const others = (link?.trackers ?? []).filter((url) => !this.trackers.includes(url))
    const mayBePrivate = this.#options.reachesPrivate
    return [...others.map((url) => ({ url, mayBePrivate })), ...own]
  }

  /** Two that want the same torrent look for it together; the last one ends it. */
  #share(key: string, shared: SharedSeek): Seek {
    shared.count++
    let isOpen = true
    const { seek } = shared
    return {
      metainfo: seek.metainfo,
      get clientCount() {
        return seek.clientCount
      },
      addPeer: (address) => seek.addPeer(address),
      [Symbol.dispose]: () => {
        if (!isOpen) return
        isOpen = false
        shared.count--
        if (shared.count > 0) return
        seek.stop()
        if (this.#seeks.get(key) === shared) this.#seeks.delete(key)
      },
    }
  }

  #scheduleLook(delayMs: number): void {
    this.#cancelLook = this.#deps.clock.after(delayMs, () => {
      void this.#look().finally(() => {
        if (!this.#isStopped) this.#scheduleLook(LOOK_MS)
      })
    })
  }

  /** Compares what is public with what is seeded; one look at a time, and one after this call. */
  async #look(): Promise<void> {
    const before = this.#looking
    const looking = (async () => {
      await before
      if (!this.#isStopped) await this.#lookOnce()
    })()
    this.#looking = looking
    await looking
    if (this.#looking === looking) this.#looking = undefined
  }

  async #lookOnce(): Promise<void> {
    const { store, swarm, book, log } = this.#deps
    const wanted = new Set<Digest>()
    for (const digest of book.digests()) {
      const stat = store.stat(digest)
      if (stat?.isComplete === true && stat.isShared) wanted.add(digest)
    }
    for (const digest of [...this.#seeding.keys()]) if (!wanted.has(digest)) this.#end(digest)
    for (const { outreach } of this.#seeding.values()) outreach.tick()
    for (const { seek } of this.#seeks.values()) seek.tick()
    if (wanted.size === 0) {
      this.#listener.close()
      return
    }
    try {
      await this.#listener.open()
      for (const digest of wanted) {
        if (this.#seeding.has(digest)) continue
        const metainfo = await swarm.torrentOf(digest)
        if (metainfo !== undefined && book.has(digest)) this.#begin(metainfo)
      }
    } catch (error) {
      // A port that another program has, or a disk that fails: tried again with the next look.
      log.warn({ error: messageOf(error) }, "public blobs cannot be seeded now")
    }
  }

  #begin(metainfo: Metainfo): void {
    const { swarm, clock, discovery } = this.#deps
    const outreach = new Outreach({
      clock,
      reachesPrivate: this.#options.reachesPrivate,
      connected: (stream, address) => swarm.servePlain(stream, address, metainfo),
    })
    const announced = {
      infoHash: metainfo.infoHash,
      trackers: this.#trackersOf(undefined),
      leftBytes: () => 0,
      port: () => this.port,
      onAddress: (address: { host: string; port: number }) => outreach.add(address, "found"),
      onStream: (stream: Parameters<SwarmEngine["servePlain"]>[0], name: string) => {
        swarm.servePlain(stream, name, metainfo)
      },
    }
    const stops = discovery.map((one) => one.announce(announced))
    this.#seeding.set(metainfo.digest, { metainfo, outreach, stops })
  }

  #end(digest: Digest): void {
    const seeding = this.#seeding.get(digest)
    if (seeding === undefined) return
    this.#seeding.delete(digest)
    for (const stop of seeding.stops) stop()
    seeding.outreach.stop()
    this.#deps.swarm.closePlain(digest)
  }
}

function refused(digest: Digest, why: string): SwarmError {
  return new SwarmError("PUBLIC_REFUSED", `${digest} is not made public: ${why}`, {
    details: { digest },
  })
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
