/**
 * What the index keeps of each of a fleet's nodes, one entry each, of at most 10,000 at once.
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import { NODES_MAX } from "./access-list.ts"

/** Entries that are held in memory beside the index. */
const HELD_MAX = 1_024

/** How entries are written. */
export interface EntryKind<Entry> {
  /** For the operator, such as `a node key`. */
  readonly what: string
  encode(entry: Entry): Uint8Array
  /** The index is this node's own: what was verified before it was kept is not verified again. */
  parse(bytes: Uint8Array, peer: PeerId): Entry
}

/** The entries of one kind. */
export class PeerEntries<Entry> {
  readonly #kv: Kv
  readonly #log: Logger
  readonly #kind: EntryKind<Entry>
  readonly #peers: Set<PeerId>
  readonly #held = new Map<PeerId, Entry>()

  /** @param deps.kv - a part of the index for these alone */
  static async open<Entry>(
    deps: { readonly kv: Kv; readonly log: Logger },
    kind: EntryKind<Entry>,
  ): Promise<PeerEntries<Entry>> {
    const peers = new Set<PeerId>()
    for await (const [peer] of deps.kv.scan("")) peers.add(peer)
    return new PeerEntries(deps, kind, peers)
  }

  private constructor(
    { kv, log }: { readonly kv: Kv; readonly log: Logger },
    kind: EntryKind<Entry>,
    peers: Set<PeerId>,
  ) {
    this.#kv = kv
    this.#log = log
    this.#kind = kind
    this.#peers = peers
  }

  /** Gives what is kept of a peer; undefined also for what cannot be read, which is told. */
  of(peer: PeerId): Entry | undefined {
    const held = this.#held.get(peer)
    if (held !== undefined) return held
    const bytes = this.#kv.get(peer)
    if (bytes === undefined) return undefined
    try {
      const entry = this.#kind.parse(bytes, peer)
      this.#hold(peer, entry)
      return entry
    } catch (error) {
      this.#log.warn({ peer, error }, `${this.#kind.what} that was kept cannot be read`)
      return undefined
    }
  }

  /**
   * Keeps an entry in the place of the one before.
   * @param isMember - who may stay when there is no room for one more
   */
  async put(peer: PeerId, entry: Entry, isMember: (peer: PeerId) => boolean): Promise<void> {
    this.#hold(peer, entry)
    await this.#makeRoom(peer, isMember)
    this.#peers.add(peer)
    await this.#kv.put(peer, this.#kind.encode(entry))
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

  #hold(peer: PeerId, entry: Entry): void {
    this.#held.delete(peer)
    const [oldest] = this.#held.keys()
    if (this.#held.size >= HELD_MAX && oldest !== undefined) this.#held.delete(oldest)
    this.#held.set(peer, entry)
  }
}
