/**
 * Whom this node looks for: configured and remembered peers, and those that answer on the LAN
 * (protocol/discovery.md).
 * @module
 */
import type { PeerInfo } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { firstHopOf, parseAddress, peerOfAddress } from "./address.ts"
import { KEPT_PEERS_MAX } from "./limit.ts"
import type { PeerId } from "./net.ts"
import type { PeerBook, PeerMemory } from "./peer-book.ts"
import type { PeerKeeper } from "./peer-keeper.ts"

/** Both find each other at once: the one with the larger id waits, so that one connection comes. */
const MDNS_POLITE_MS = 1_000
const SAVE_PAUSE_MS = 5_000
/** Remembered addresses that are read at start. */
const REMEMBERED_MAX = 256

/** What the finder needs. */
export interface PeerFinderDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly book: PeerBook
  readonly keeper: PeerKeeper
  readonly memory: PeerMemory | undefined
  /** False for peers that are connected, banned or not admitted. */
  readonly isSought: (peer: PeerId) => boolean
}

/** One per node. */
export class PeerFinder {
  readonly #deps: PeerFinderDeps
  readonly #self: PeerId
  readonly #kept = new Set<string>()
  #cancelSave: (() => void) | undefined

  constructor(deps: PeerFinderDeps, options: { self: PeerId }) {
    this.#deps = deps
    this.#self = options.self
  }

  /** Keeps a peer of the configuration connected from now on. */
  keepConfigured(address: string): void {
    const { book, keeper } = this.#deps
    const peer = peerOfAddress(parseAddress(address))
    if (peer === this.#self) return
    if (peer !== undefined) book.addSource(peer, "configured")
    keeper.keep(address, { addresses: [address], isConfigured: true, source: "configured" })
  }

  /** False when too many peers are kept besides those of the configuration. */
  hasRoomFor(address: string): boolean {
    return this.#kept.has(address) || this.#kept.size < KEPT_PEERS_MAX
  }

  /** Keeps one more peer connected from now on; one that is kept already is tried at once. */
  keep(address: string): void {
    if (!this.hasRoomFor(address)) return
    this.#kept.add(address)
    this.keepConfigured(address)
  }

  /** Keeps a relay connected from now on. It is believed no more than a stranger is. */
  keepRelay(address: string): void {
    const { book, keeper } = this.#deps
    const peer = peerOfAddress(parseAddress(address))
    if (peer === undefined || peer === this.#self) return
    book.addSource(peer, "relay")
    keeper.keep(address, { addresses: [address], isConfigured: true, source: "relay" })
  }

  /** Looks for the peers of earlier runs. */
  async keepRemembered(): Promise<void> {
    const { book, keeper } = this.#deps
    const remembered = (await this.#load()).slice(0, REMEMBERED_MAX)
    for (const [peer, addresses] of Map.groupBy(remembered, usablePeer)) {
      if (peer === undefined || peer === this.#self) continue
      book.addSource(peer, "remembered")
      book.setAddresses(peer, addresses)
      keeper.keep(`remembered ${peer}`, { addresses, isConfigured: false })
    }
  }

  /** Takes an answer on the LAN. */
  readonly takeMdns = (found: PeerInfo): void => {
    const { book, keeper, isSought } = this.#deps
    const peer = found.id.toString()
    if (peer === this.#self) return
    book.addSource(peer, "mdns")
    if (!isSought(peer)) return
    const addresses = found.multiaddrs.map((address) => `${address}/p2p/${peer}`)
    const pauseMs = this.#self < peer ? 0 : MDNS_POLITE_MS
    keeper.keep(`mdns ${peer}`, { addresses, isConfigured: false }, pauseMs)
  }

  /** Takes the addresses that a connected peer says it has. */
  takeIdentify(peer: PeerId, addresses: readonly string[]): void {
    const { book, clock, log, memory } = this.#deps
    book.setAddresses(peer, addresses)
    if (memory === undefined || this.#cancelSave !== undefined) return
    this.#cancelSave = clock.after(SAVE_PAUSE_MS, () => {
      this.#cancelSave = undefined
      this.save().catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, "cannot remember peers")
      })
    })
  }

  /** Remembers whom this node knows. */
  async save(): Promise<void> {
    this.#cancelSave?.()
    this.#cancelSave = undefined
    await this.#deps.memory?.save(this.#deps.book.toRemember())
  }

  async #load(): Promise<readonly string[]> {
    try {
      return (await this.#deps.memory?.load()) ?? []
    } catch (error) {
      // A node that has forgotten everybody can still be found.
      this.#deps.log.warn({ error: messageOf(error) }, "cannot read the remembered peers")
      return []
    }
  }
}

/** Whose address it is; undefined for what this version cannot read or use. */
function usablePeer(text: string): PeerId | undefined {
  try {
    const address = parseAddress(text)
    return firstHopOf(address) === undefined ? undefined : peerOfAddress(address)
  } catch {
    return undefined
  }
}
