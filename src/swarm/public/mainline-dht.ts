/**
 * The mainline DHT (BEP 5): where this node tells of what is public and looks for who has it. Its UDP
 * socket is open only while there is something to tell or to look for.
 * @module
 */
import type DhtLibrary from "bittorrent-dht"
import type { Clock } from "../../core/clock.ts"
import { messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import type { Announced, Discovery } from "./discovery.ts"
import { GuardedSocket, reachRule } from "./guarded-socket.ts"
import { formatAddress, type PublicAddress } from "./public-listener.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** Who has something is told again before others forget it (they keep it for half an hour). */
const ANNOUNCE_MS = 15 * 60_000
/** Who seeks looks again this soon. */
const LOOKUP_MS = 30_000
const TICK_MS = 1_000
/** Addresses of one torrent that are passed on between two looks. */
const ADDRESSES_MAX = 100
/** Torrents that are announced and looked for. */
const TORRENTS_MAX = 1024

export interface MainlineDhtDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface MainlineDhtOptions {
  /** The interface of the UDP socket; its port is any free one. */
  readonly listen: PublicAddress
  /** Where the DHT is entered. */
  readonly nodes: readonly PeerAddress[]
  readonly reachesPrivate: boolean
}

interface Entry {
  readonly torrent: Announced
  dueMs: number
  addressCount: number
}

/** Makes the discovery by the mainline DHT. */
export function createMainlineDht(deps: MainlineDhtDeps, options: MainlineDhtOptions): Discovery {
  return new MainlineDht(deps, options)
}

class MainlineDht implements Discovery {
  readonly #deps: MainlineDhtDeps
  readonly #options: MainlineDhtOptions
  readonly #entries = new Map<string, Entry>()
  #dht: DhtLibrary | undefined
  #isReady = false
  #opening: Promise<void> | undefined
  #cancelTick: (() => void) | undefined

  constructor(deps: MainlineDhtDeps, options: MainlineDhtOptions) {
    this.#deps = deps
    this.#options = options
  }

  announce(torrent: Announced): () => void {
    const key = Buffer.from(torrent.infoHash).toString("hex")
    if (this.#entries.size >= TORRENTS_MAX) return () => {}
    const entry = { torrent, dueMs: 0, addressCount: 0 }
    this.#entries.set(key, entry)
    this.#opening ??= this.#open()
    this.#schedule()
    return () => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
      if (this.#entries.size === 0) void this.stop()
    }
  }

  async stop(): Promise<void> {
    this.#cancelTick?.()
    this.#cancelTick = undefined
    await this.#opening
    // Something may have been announced meanwhile.
    if (this.#entries.size > 0 && this.#cancelTick !== undefined) return
    const dht = this.#dht
    this.#dht = undefined
    this.#opening = undefined
    this.#isReady = false
    if (dht !== undefined) await new Promise<void>((resolve) => dht.destroy(() => resolve()))
  }

  async #open(): Promise<void> {
    const { log } = this.#deps
    const { nodes, listen, reachesPrivate } = this.#options
    try {
      const { default: Library } = await import("bittorrent-dht")
      const socket = new GuardedSocket({
        mayReach: reachRule(nodes, reachesPrivate),
        onBadPacket: (reason) => log.debug({ reason }, "a packet of the DHT is dropped"),
      })
      const bootstrap = nodes.map(({ host, port }) => formatAddress(host, port))
      const dht = new Library({ bootstrap, socket })
      dht.on("error", (error) => log.warn({ error: messageOf(error) }, "the DHT"))
      dht.on("warning", () => {
        // Strangers that answer late, wrongly or not at all are its daily life.
      })
      dht.on("peer", (peer, infoHash) => this.#onPeer(peer, infoHash))
      dht.on("ready", () => {
        this.#isReady = true
      })
      this.#dht = dht
      dht.listen(0, listen.host ?? "0.0.0.0")
    } catch (error) {
      log.warn({ error: messageOf(error) }, "the DHT cannot be used")
    }
  }

  #schedule(): void {
    this.#cancelTick ??= this.#deps.clock.after(TICK_MS, () => {
      this.#cancelTick = undefined
      if (this.#isReady) this.#tick(this.#deps.clock.monotonicMs())
      this.#schedule()
    })
  }

  #tick(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.dueMs > nowMs) continue
      const { torrent } = entry
      const isSeed = torrent.leftBytes() === 0
      entry.dueMs = nowMs + (isSeed ? ANNOUNCE_MS : LOOKUP_MS)
      entry.addressCount = 0
      const infoHash = Buffer.from(torrent.infoHash)
      const port = torrent.port()
      // Who is not reached from outside has nothing to tell.
      if (port === undefined) this.#dht?.lookup(infoHash)
      else this.#dht?.announce(infoHash, port)
    }
  }

  #onPeer(peer: PeerAddress, infoHash: Uint8Array): void {
    const entry = this.#entries.get(Buffer.from(infoHash).toString("hex"))
    if (entry === undefined || entry.addressCount >= ADDRESSES_MAX) return
    entry.addressCount++
    entry.torrent.onAddress({ host: peer.host, port: peer.port })
  }
}
