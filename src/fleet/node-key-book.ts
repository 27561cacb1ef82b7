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
import { invalidNodeKey, NODE_KEY_BYTES_MAX, type NodeKey } from "./node-key.ts"
import { type EntryKind, PeerEntries } from "./peer-entries.ts"

const ENTRY_BYTES_MAX: number = 4 * NODE_KEY_BYTES_MAX

/** Without it an older key could be played again, so this is told; asking anew mends it. */
const KIND: EntryKind<NodeKey> = { what: "a node key", encode: encodeEntry, parse: parseEntry }

/** The keys of one fleet's nodes, of at most 10,000 at once. */
export class NodeKeyBook {
  readonly #entries: PeerEntries<NodeKey>

  private constructor(entries: PeerEntries<NodeKey>) {
    this.#entries = entries
  }

  /** @param deps.kv - a part of the index for this fleet alone */
  static async open(deps: { readonly kv: Kv; readonly log: Logger }): Promise<NodeKeyBook> {
    return new NodeKeyBook(await PeerEntries.open(deps, KIND))
  }

  /** Gives the newest key that was seen of a peer; it may count no more. */
  of(peer: PeerId): NodeKey | undefined {
    return this.#entries.of(peer)
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
    await this.#entries.put(peer, key, isMember)
  }
}

function encodeEntry({ statement, recipient, ...life }: NodeKey): Uint8Array {
  const { counter, notBeforeMs, notAfterMs } = life
  const fields = { counter, recipient, notBefore: notBeforeMs, notAfter: notAfterMs }
  return encodeJson({ ...fields, statement: encodeBase64(statement) })
}

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
