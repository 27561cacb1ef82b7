/**
 * The newest node key that was seen of each peer, kept over restarts: an older one that is played again
 * is refused by it (protocol/fleet.md §5, reading a node key).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import type { Logger } from "../core/log.ts"
import { bytesField, countField, parseSection, type Section, textField } from "../core/section.ts"
import type { PeerId } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import { NODES_MAX } from "./access-list.ts"
import { invalidNodeKey, NODE_KEY_BYTES_MAX, type NodeKey } from "./node-key.ts"

/** Keys that are held in memory beside the index. */
const HELD_MAX = 1_024
const ENTRY_BYTES_MAX: number = 4 * NODE_KEY_BYTES_MAX

/** The keys of one fleet's nodes, of at most 10,000 at once. */
export class NodeKeyBook {
  readonly #kv: Kv
  readonly #log: Logger
  readonly #peers: Set<PeerId>
  readonly #held = new Map<PeerId, NodeKey>()

  private constructor(deps: { kv: Kv; log: Logger }, peers: Set<PeerId>) {
    this.#kv = deps.kv
    this.#log = deps.log
    this.#peers = peers
  }

  /** @param deps.kv - a part of the index for this fleet alone */
  static async open(deps: { kv: Kv; log: Logger }): Promise<NodeKeyBook> {
    const peers = new Set<PeerId>()
    for await (const [peer] of deps.kv.scan("")) peers.add(peer)
    return new NodeKeyBook(deps, peers)
  }

  /** Gives the newest key that was seen of a peer; it may count no more. */
  of(peer: PeerId): NodeKey | undefined {
    const held = this.#held.get(peer)
    if (held !== undefined) return held
    const entry = this.#kv.get(peer)
    if (entry === undefined) return undefined
    try {
      const key = parseEntry(entry, peer)
      this.#hold(key)
      return key
    } catch (error) {
      // Without it an older key could be played again, so this is told; asking anew mends it.
      this.#log.warn({ peer, error }, "a node key that was kept cannot be read")
      return undefined
    }
  }

  /**
   * Keeps a key that was verified.
   * @param isMember - who may stay when there is no room for one more
   * @throws FleetError `NODE_KEY_INVALID` when one with a higher counter, or another with the same, was
   * seen before
   */
  async keep(key: NodeKey, isMember: (peer: PeerId) => boolean): Promise<void> {
    const { peer, counter, statement } = key
    const known = this.of(peer)
    if (known !== undefined) {
      if (Buffer.compare(known.statement, statement) === 0) return
      if (known.counter >= counter) {
        throw invalidNodeKey(`key ${counter} of ${peer} after its key ${known.counter}`)
      }
    }
    this.#hold(key)
    await this.#makeRoom(peer, isMember)
    this.#peers.add(peer)
    await this.#kv.put(peer, encodeEntry(key))
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

  #hold(key: NodeKey): void {
    this.#held.delete(key.peer)
    const [oldest] = this.#held.keys()
    if (this.#held.size >= HELD_MAX && oldest !== undefined) this.#held.delete(oldest)
    this.#held.set(key.peer, key)
  }
}

function encodeEntry({ statement, recipient, ...life }: NodeKey): Uint8Array {
  const { counter, notBeforeMs, notAfterMs } = life
  const fields = { counter, recipient, notBefore: notBeforeMs, notAfter: notAfterMs }
  return encodeJson({ ...fields, statement: encodeBase64(statement) })
}

/** The index is this node's own: what was verified once is not verified again. */
function parseEntry(entry: Uint8Array, peer: PeerId): NodeKey {
  const bounds = { bytesMax: ENTRY_BYTES_MAX, refuse: invalidNodeKey }
  const section: Section = parseSection(entry, bounds)
  return {
    peer,
    counter: countField(section, "counter", { min: 1 }),
    recipient: textField(section, "recipient"),
    notBeforeMs: countField(section, "notBefore"),
    notAfterMs: countField(section, "notAfter"),
    statement: bytesField(section, "statement", { max: NODE_KEY_BYTES_MAX }),
  }
}
