/**
 * The life signs of other nodes that this one has taken: of each the one by which it had come furthest,
 * over restarts, and the last of each of its boots (protocol/fleet.md §5, the life-sign exchange).
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import { NODES_MAX } from "./access-list.ts"
import { isFurther, type LifeSign, parseLifeSign } from "./life-sign.ts"

/** Nodes whose boots are held in memory. */
const HELD_MAX = 1_024
/** Boots of one node. */
const BOOTS_MAX = 4

interface Held {
  furthest: LifeSign | undefined
  /** The last sign of each boot; at the end that of which was heard last. */
  readonly boots: Map<string, LifeSign>
}

/** The life signs of one fleet's nodes, of at most 10,000 at once. */
export class LifeSignBook {
  readonly #kv: Kv
  readonly #log: Logger
  readonly #fleet: string
  readonly #peers: Set<PeerId>
  readonly #held = new Map<PeerId, Held>()

  private constructor(deps: { kv: Kv; log: Logger }, fleet: string, peers: Set<PeerId>) {
    this.#kv = deps.kv
    this.#log = deps.log
    this.#fleet = fleet
    this.#peers = peers
  }

  /** @param deps.kv - a part of the index for this fleet alone */
  static async open(deps: { kv: Kv; log: Logger }, fleet: string): Promise<LifeSignBook> {
    const peers = new Set<PeerId>()
    for await (const [peer] of deps.kv.scan("")) peers.add(peer)
    return new LifeSignBook(deps, fleet, peers)
  }

  /**
   * Takes a sign that was verified.
   * @param isMember - who may stay when there is no room for one more
   * @returns what was known of this node before: the furthest, and the last of each other boot
   */
  async take(sign: LifeSign, isMember: (peer: PeerId) => boolean): Promise<readonly Uint8Array[]> {
    const { peer, boot } = sign
    const held = this.#of(peer)
    const { furthest } = held
    const others = [...held.boots.values()].filter((one) => one.boot !== boot)
    const known = [...new Set([...(furthest === undefined ? [] : [furthest]), ...others])]
    held.boots.delete(boot)
    const [oldest] = held.boots.keys()
    if (held.boots.size >= BOOTS_MAX && oldest !== undefined) held.boots.delete(oldest)
    held.boots.set(boot, sign)
    if (furthest === undefined || isFurther(sign, furthest)) {
      held.furthest = sign
      await this.#makeRoom(peer, isMember)
      this.#peers.add(peer)
      await this.#kv.put(peer, sign.statement)
    }
    return known.map(({ statement }) => statement)
  }

  /** Whoever was heard of longest ago gives way: what lasts of it is in the index. */
  #of(peer: PeerId): Held {
    const held = this.#held.get(peer) ?? { furthest: this.#kept(peer), boots: new Map() }
    this.#held.delete(peer)
    const [oldest] = this.#held.keys()
    if (this.#held.size >= HELD_MAX && oldest !== undefined) this.#held.delete(oldest)
    this.#held.set(peer, held)
    return held
  }

  #kept(peer: PeerId): LifeSign | undefined {
    const entry = this.#kv.get(peer)
    if (entry === undefined) return undefined
    try {
      return parseLifeSign(entry, { fleet: this.#fleet, peer })
    } catch (error) {
      // The node tells of itself again; only what it forgot before that nobody here can say.
      this.#log.warn({ peer, error }, "a life sign that was kept cannot be read")
      return undefined
    }
  }

  /** The access list has at most as many members, so that whoever left makes room. */
  async #makeRoom(peer: PeerId, isMember: (peer: PeerId) => boolean): Promise<void> {
    if (this.#peers.has(peer) || this.#peers.size < NODES_MAX) return
    for (const other of this.#peers) {
      if (isMember(other)) continue
      this.#peers.delete(other)
      this.#held.delete(other)
      await this.#kv.del(other)
      return
    }
  }
}
