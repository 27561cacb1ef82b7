/**
 * Asking peers for node keys, their own and those that they know of others, and answering them:
 * `/sealift/node-key/1` (protocol/fleet.md §5, the node-key exchange).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { encodeJson, type JsonValue } from "../core/json.ts"
import { isPeerId } from "../core/name.ts"
import {
  invalidField,
  optionalBytesListField,
  parseSection,
  textSetField,
} from "../core/section.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type Fleet, isMember } from "./fleet.ts"
import { invalidNodeKey, NODE_KEY_BYTES_MAX } from "./node-key.ts"
import { PeerRate } from "./peer-rate.ts"

/** The libp2p protocol of the exchange. */
export const NODE_KEY_PROTOCOL = "/sealift/node-key/1"
/** Most peers whose keys one request asks for. */
export const KEYS_PER_REQUEST_MAX = 64
/** How long a peer has for an answer. */
const NODE_KEY_ANSWER_MS_MAX = 3_000
const REQUEST_BYTES_MAX: number = 8 * 1024
const ANSWER_BYTES_MAX: number = KEYS_PER_REQUEST_MAX * 2 * NODE_KEY_BYTES_MAX
/** Keys that one peer is told of per second in the long run, and at once: a whole fleet's. */
const RATE = { rateBytes: 640, burstBytes: 10_240 }

/** Gives the statement of a peer's key, if there is one that counts. */
export type StatementOf = (peer: PeerId) => Promise<Uint8Array | undefined>

/** What the exchange works with. */
export interface NodeKeyExchangeDeps {
  readonly net: PeerNetwork
  readonly fleet: Fleet
  readonly clock: Clock
}

/** The exchange of one node. */
export class NodeKeyExchange {
  readonly #deps: NodeKeyExchangeDeps
  readonly #rate: PeerRate

  constructor(deps: NodeKeyExchangeDeps) {
    this.#deps = deps
    this.#rate = new PeerRate(deps.clock, RATE)
  }

  /** Begins to answer peers. Whoever is no member of the fleet is told of no key. */
  serve(statementOf: StatementOf): void {
    const { net, fleet } = this.#deps
    net.onRequest(NODE_KEY_PROTOCOL, async (body, { peer }) => {
      const asked = parseRequest(body)
      const isTold = isMember(fleet.membership, peer) && this.#rate.take(peer, asked.length)
      const statements: JsonValue[] = []
      for (const one of asked) {
        const statement = isTold ? await statementOf(one) : undefined
        statements.push(statement === undefined ? null : encodeBase64(statement))
      }
      return encodeJson({ statements })
    })
  }

  /**
   * Asks one peer.
   * @param peers - at most 64, each once
   * @returns a statement or undefined for each, in order; nothing in them was looked at
   * @throws NetError; FleetError `NODE_KEY_INVALID` when the answer is none; the signal's reason
   */
  async ask(
    from: PeerId,
    peers: readonly PeerId[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const body = encodeJson({ peers })
    const timeoutMs = NODE_KEY_ANSWER_MS_MAX
    const asked = { peer: from, protocol: NODE_KEY_PROTOCOL, body, timeoutMs }
    return parseAnswer(await requestWithin(this.#deps, asked, { signal }), peers.length)
  }
}

/** Reads a request. @throws FleetError `NODE_KEY_INVALID` */
export function parseRequest(body: Uint8Array): readonly PeerId[] {
  const section = parseSection(body, { bytesMax: REQUEST_BYTES_MAX, refuse: invalidNodeKey })
  const peers = textSetField(section, "peers", { min: 1, max: KEYS_PER_REQUEST_MAX })
  if (peers.every(isPeerId)) return peers
  throw invalidField(section, "peers", { reason: "no peer ids" })
}

/** Reads an answer to a request for this many. @throws FleetError `NODE_KEY_INVALID` */
export function parseAnswer(body: Uint8Array, count: number): readonly (Uint8Array | undefined)[] {
  const section = parseSection(body, { bytesMax: ANSWER_BYTES_MAX, refuse: invalidNodeKey })
  const bounds = { count: { min: count, max: count }, bytes: { max: NODE_KEY_BYTES_MAX } }
  return optionalBytesListField(section, "statements", bounds)
}
