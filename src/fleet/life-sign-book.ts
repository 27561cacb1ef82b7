/**
 * The life signs of other nodes that this one has taken: of each the one by which it had come furthest,
 * over restarts, and the last of each of its boots (protocol/fleet.md §5, the life-sign exchange).
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import { isFurther, type LifeSign, parseKeptSign } from "./life-sign.ts"
import { type EntryKind, PeerEntries } from "./peer-entries.ts"

/** Nodes whose boots are held in memory. */
const HELD_MAX = 1_024
/** Boots of one node. */
const BOOTS_MAX = 4

/** The node tells of itself again; only what it forgot before that nobody here can say. */
const KIND: EntryKind<LifeSign> = {
  what: "a life sign",
  encode: ({ statement }) => statement,
  parse: parseKeptSign,
}

/** The life signs of one fleet's nodes, of at most 10,000 at once. */
export class LifeSignBook {
  readonly #furthest: PeerEntries<LifeSign>
  /** The last sign of each boot of a node; at the end that of which was heard last. */
  readonly #boots = new Map<PeerId, Map<string, LifeSign>>()

  private constructor(furthest: PeerEntries<LifeSign>) {
    this.#furthest = furthest
  }

  /** @param deps.kv - a part of the index for this fleet alone */
  static async open(deps: { readonly kv: Kv; readonly log: Logger }): Promise<LifeSignBook> {
    return new LifeSignBook(await PeerEntries.open(deps, KIND))
  }

  /**
   * Takes a sign that was verified.
   * @param isMember - who may stay when there is no room for one more
   * @returns what was known of this node before: the furthest, and the last of each other boot
   */
  async take(sign: LifeSign, isMember: (peer: PeerId) => boolean): Promise<readonly Uint8Array[]> {
    const { peer, boot } = sign
    const furthest = this.#furthest.of(peer)
    const boots = this.#bootsOf(peer)
    const others = [...boots.values()].filter((one) => one.boot !== boot)
    const known = [...new Set([...(furthest === undefined ? [] : [furthest]), ...others])]
    boots.delete(boot)
    const [oldest] = boots.keys()
    if (boots.size >= BOOTS_MAX && oldest !== undefined) boots.delete(oldest)
    boots.set(boot, sign)
    if (furthest === undefined || isFurther(sign, furthest)) {
      await this.#furthest.put(peer, sign, isMember)
    }
    return known.map(({ statement }) => statement)
  }

  /** Whoever was heard of longest ago gives way: what lasts of it is in the index. */
  #bootsOf(peer: PeerId): Map<string, LifeSign> {
    const boots = this.#boots.get(peer) ?? new Map<string, LifeSign>()
    this.#boots.delete(peer)
    const [oldest] = this.#boots.keys()
    if (this.#boots.size >= HELD_MAX && oldest !== undefined) this.#boots.delete(oldest)
    this.#boots.set(peer, boots)
    return boots
  }
}
