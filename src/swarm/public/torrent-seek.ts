/**
 * One torrent that is looked for: finds clients, connects to them, learns the metainfo from them. The
 * bytes are delivery's business, for which these clients are holders like any others.
 * @module
 */
import type { Metainfo } from "../metainfo.ts"
import type { TrackerName } from "./discovery.ts"
import { Outreach } from "./outreach.ts"
import { parseExchange } from "./peer-exchange.ts"
import type { PlainWish } from "./plain-wish.ts"
import type { PublicSideDeps } from "./public-side.ts"
import type { PeerAddress, TorrentLink } from "./torrent-link.ts"
import { WebSeeds } from "./web-seeds.ts"

/** A seek, and how many want it. */
export interface SharedSeek {
  readonly seek: TorrentSeek
  count: number
}

export class TorrentSeek {
  readonly metainfo: Promise<Metainfo>
  readonly #wish: PlainWish
  readonly #outreach: Outreach
  readonly #webSeeds: WebSeeds
  readonly #stops: readonly (() => void)[]

  constructor(
    deps: Pick<PublicSideDeps, "swarm" | "clock" | "log" | "discovery" | "store">,
    options: {
      link: TorrentLink
      trackers: readonly TrackerName[]
      reachesPrivate: boolean
      port: () => number | undefined
    },
  ) {
    const { link, trackers, reachesPrivate, port } = options
    const { promise, resolve, reject } = Promise.withResolvers<Metainfo>()
    this.metainfo = promise
    // Whoever waits for it is told; nobody may be waiting.
    promise.catch(() => undefined)
    if (link.metainfo !== undefined) resolve(link.metainfo)
    const wish = deps.swarm.wishPlain(link, {
      onMetainfo: resolve,
      onForeign: reject,
      onExchange: (payload) => {
        for (const address of parseExchange(payload)) this.#outreach.add(address, "found")
      },
    })
    this.#wish = wish
    this.#outreach = new Outreach({
      clock: deps.clock,
      reachesPrivate,
      connected: (stream, address) => wish.connect(stream, address),
    })
    this.#webSeeds = new WebSeeds(
      { ...deps, connected: (duplex, address) => wish.connect({ duplex }, address) },
      { urls: link.webSeeds, mayBePrivate: reachesPrivate },
    )
    this.#webSeeds.tick(link.metainfo)
    const announced = {
      infoHash: link.infoHash,
      trackers,
      leftBytes: () => {
        const { metainfo } = wish.torrent
        if (metainfo === undefined) return undefined
        const { layout, digest } = metainfo
        const stat = deps.store.stat(digest)
        if (stat?.isComplete === true) return 0
        // At least one: 0 would say that this node seeds.
        return Math.max(1, layout.sizeBytes - (stat?.pieceCount ?? 0) * layout.lengthBytes)
      },
      port,
      onAddress: (address: PeerAddress) => this.#outreach.add(address, "found"),
      onStream: (stream: Parameters<PlainWish["connect"]>[0], name: string) => {
        wish.connect(stream, name)
      },
    }
    this.#stops = deps.discovery.map((one) => one.announce(announced))
  }

  get clientCount(): number {
    return this.#wish.connectionCount
  }

  addPeer(address: PeerAddress): void {
    this.#outreach.add(address, "given")
  }

  /** Takes a client that the link names: whoever made the link may be a stranger. */
  addLinked(address: PeerAddress): void {
    this.#outreach.add(address, "found")
  }

  tick(): void {
    this.#outreach.tick()
    this.#webSeeds.tick(this.#wish.torrent.metainfo)
  }

  stop(): void {
    for (const stop of this.#stops) stop()
    this.#outreach.stop()
    this.#webSeeds.stop()
    this.#wish.close()
  }
}
