/**
 * In which zone each connected node says that it stands (protocol/zone.md).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { SwarmError } from "./errors.ts"

export const ZONE_PROTOCOL = "/sealift/zone/1"

const VERSION = 1
const LABEL_CHARS_MAX = 63
const LABEL = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/
const ASK_MS_MAX = 10_000

/** Tells whether a text may be the label of a zone. */
export function isZone(text: string): boolean {
  return text.length <= LABEL_CHARS_MAX && LABEL.test(text)
}

/** Encodes a message: the label of the sender's zone, or none. */
export function encodeZone(zone: string | undefined): Uint8Array {
  return Buffer.concat([Buffer.from([VERSION]), Buffer.from(zone ?? "", "latin1")])
}

/**
 * Parses a message from another node.
 * @returns the label; undefined when the node stands in no zone
 * @throws SwarmError `ZONE_INVALID`
 */
export function parseZone(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== VERSION) throw new SwarmError("ZONE_INVALID", "zone message: not version 1")
  const label = Buffer.from(bytes.subarray(1, LABEL_CHARS_MAX + 2)).toString("latin1")
  if (label === "") return undefined
  if (!isZone(label)) throw new SwarmError("ZONE_INVALID", "zone message: no label")
  return label
}

export interface ZonesDeps {
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
}

/** The zones of this node and its peers. */
export class Zones {
  /** This node's zone. */
  readonly zone: string | undefined
  readonly #deps: ZonesDeps
  readonly #known = new Map<PeerId, string>()
  readonly #listeners = new Set<(peer: PeerId) => void>()
  readonly #stopping = new AbortController()
  readonly #stops: (() => void)[]

  constructor(deps: ZonesDeps, options: { zone?: string | undefined } = {}) {
    this.zone = options.zone
    this.#deps = deps
    const { net } = deps
    net.onRequest(ZONE_PROTOCOL, async (body, { peer }) => {
      this.#take(peer, parseZone(body))
      return encodeZone(this.zone)
    })
    this.#stops = [
      net.onConnect((peer) => void this.#ask(peer.id)),
      net.onDisconnect((peer) => this.#take(peer, undefined)),
    ]
    for (const peer of net.peers()) void this.#ask(peer.id)
  }

  /** The zone of a peer; undefined when it told none. */
  of(peer: PeerId): string | undefined {
    return this.#known.get(peer)
  }

  /** Whether a peer says that it stands where this node does. */
  isSame(peer: PeerId): boolean {
    return this.zone !== undefined && this.#known.get(peer) === this.zone
  }

  /** Whether a peer stands elsewhere, as far as is known; never so for a node without a zone. */
  isFar(peer: PeerId): boolean {
    return this.zone !== undefined && this.#known.get(peer) !== this.zone
  }

  /** Called when the zone of a peer became known, or is not known any more. */
  onChange(listener: (peer: PeerId) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  stop(): void {
    this.#stopping.abort()
    for (const stop of this.#stops) stop()
  }

  /** A node without a zone has no use for those of others; who asks it, is told. */
  async #ask(peer: PeerId): Promise<void> {
    if (this.zone === undefined) return
    const { net, clock, log } = this.#deps
    const timeout = new AbortController()
    const cancel = clock.after(ASK_MS_MAX, () => timeout.abort())
    const signal = AbortSignal.any([this.#stopping.signal, timeout.signal])
    try {
      const answer = await net.request(peer, ZONE_PROTOCOL, encodeZone(this.zone), { signal })
      this.#take(peer, parseZone(answer))
    } catch (error) {
      // It is gone, or does not speak this: then it stands nowhere.
      log.debug({ peer, error: messageOf(error) }, "a peer's zone is not known")
    } finally {
      cancel()
    }
  }

  #take(peer: PeerId, zone: string | undefined): void {
    if (this.#known.get(peer) === zone) return
    // Only of those who are connected, so that the map is bounded as they are.
    if (zone !== undefined && this.#deps.net.peer(peer) !== undefined) this.#known.set(peer, zone)
    else this.#known.delete(peer)
    for (const listener of [...this.#listeners]) listener(peer)
  }
}
