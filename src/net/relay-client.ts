/**
 * Being reached through relays: keeps a place on each relay of the configuration and lets nobody else
 * bring connections here (circuit relay v2; protocol/nat.md).
 * @module
 */
import { circuitRelayTransport, RELAY_V2_STOP_CODEC } from "@libp2p/circuit-relay-v2"
import type { Listener, Transport } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { parseAddress, peerOfAddress, relayOf } from "./address.ts"
import type { PeerId } from "./net.ts"
import { guardStreams } from "./stream-guard.ts"

/** A place is asked for again after this long when it was refused, … */
const REFUSED_PAUSE_MS_MIN = 1_000
const REFUSED_PAUSE_MS_MAX = 60_000
/** … and looked after this often while it stands. The package itself renews it in time. */
const KEPT_LOOK_MS = 30_000
/** Connections that one relay may bring at the same moment. */
const INBOUND_PER_RELAY_MAX = 64

type Components = Parameters<ReturnType<typeof circuitRelayTransport>>[0]

/** What the client needs. */
export interface RelayClientDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Resolves when the relay is not connected (any more). */
  readonly untilGone: (peer: PeerId, signal: AbortSignal) => Promise<void>
}

/** One listener of the transport, which takes a place when it is told to. */
interface Place {
  readonly listener: Listener
  readonly take: () => Promise<void>
}

/** One per node. */
export class RelayClient {
  readonly #deps: RelayClientDeps
  /** The relays of the configuration. */
  readonly relays: ReadonlySet<PeerId>
  readonly #places = new Map<PeerId, Place>()
  readonly #kept = new Set<PeerId>()
  readonly #stopped = new AbortController()
  /** What the transport is to listen on. */
  readonly listen: readonly string[]

  /** @param options.relays - multiaddrs with the relay's id */
  constructor(deps: RelayClientDeps, options: { relays: readonly string[] }) {
    this.#deps = deps
    this.relays = new Set(options.relays.map((text) => peerOfAddress(parseAddress(text))!))
    this.listen = options.relays.map((text) => `${text}/p2p-circuit`)
  }

  readonly isRelay = (peer: PeerId): boolean => this.relays.has(peer)

  /** Relays on which this node has a place now. */
  get placesCount(): number {
    return [...this.#places.values()].filter(isTaken).length
  }

  /** The transport that dials through relays, and is dialled through ours only. */
  transport(): (components: Components) => Transport {
    return (components) => {
      // The package would take a place on whoever brings a connection, before it asks the gater.
      const guarded = guardStreams(components, (protocol, stream, { remotePeer }, take) => {
        const isAllowed = protocol !== RELAY_V2_STOP_CODEC || this.isRelay(remotePeer.toString())
        return isAllowed ? take() : stream.abort(new Error("not a relay of this node"))
      })
      const transport = circuitRelayTransport({
        maxInboundStopStreams: INBOUND_PER_RELAY_MAX,
        discoveryFilter: NO_DISCOVERY,
      })(guarded)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options) => this.#lazy(createListener(options))
      return transport
    }
  }

  /** A relay is connected: takes a place on it, and takes it again whenever it is lost. */
  connected(peer: PeerId): void {
    if (!this.isRelay(peer) || this.#kept.has(peer) || this.#stopped.signal.aborted) return
    this.#kept.add(peer)
    this.#keep(peer).finally(() => this.#kept.delete(peer))
  }

  stop(): void {
    this.#stopped.abort(new Error("the network is stopping"))
  }

  /** A listener that starts without its relay: a relay that is down must not keep a node down. */
  #lazy(listener: Listener): Listener {
    const listen = listener.listen.bind(listener)
    listener.listen = async (address: Multiaddr) => {
      const relay = relayOf(address)?.peer
      if (relay !== undefined) this.#places.set(relay, { listener, take: () => listen(address) })
    }
    return listener
  }

  async #keep(peer: PeerId): Promise<void> {
    const { clock, log, untilGone } = this.#deps
    const gone = new AbortController()
    const signal = AbortSignal.any([gone.signal, this.#stopped.signal])
    untilGone(peer, this.#stopped.signal).then(
      () => gone.abort(),
      () => {},
    )
    let refusals = 0
    while (!signal.aborted) {
      try {
        await untilAborted(this.#take(peer), signal)
        refusals = 0
      } catch (error) {
        if (signal.aborted) return
        refusals++
        const fields = { relay: peer, error: messageOf(error) }
        log[refusals === 1 ? "warn" : "debug"](fields, "a relay gives this node no place")
      }
      const pauseMs = refusals === 0 ? KEPT_LOOK_MS : refusedPauseMs(refusals)
      await clock.sleep(pauseMs, { signal }).catch(() => {})
    }
  }

  async #take(peer: PeerId): Promise<void> {
    const place = this.#places.get(peer)
    if (place === undefined || isTaken(place)) return
    await place.take()
    this.#deps.log.info({ relay: peer }, "others can reach this node through a relay")
  }
}

const isTaken = ({ listener }: Place): boolean => listener.getAddrs().length > 0

function refusedPauseMs(refusals: number): number {
  return Math.min(REFUSED_PAUSE_MS_MAX, REFUSED_PAUSE_MS_MIN * 2 ** Math.min(refusals - 1, 16))
}

/** Relays are named, never found: every peer counts as one that was looked at already. */
const NO_DISCOVERY = { has: () => true, add: () => {}, remove: () => {} }
