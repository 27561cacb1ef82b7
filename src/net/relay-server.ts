/**
 * The relay: carries connections between the peers it serves, at a bounded rate and with bounded
 * memory (circuit relay v2; protocol/nat.md).
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { circuitRelayServer, RELAY_V2_HOP_CODEC } from "@libp2p/circuit-relay-v2"
import type { Connection, Stream } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import { ByteRate } from "./byte-rate.ts"
import { RELAYED_BYTES_MAX, RELAYED_MS_MAX } from "./limit.ts"
import { guardStreams, override } from "./stream-guard.ts"

/** Peers that have a place here at once, and how long a place lasts before it is renewed. */
const RESERVATIONS_MAX = 128
const RESERVATION_MS = 3_600_000
/** Conversations about relaying, relayed connections among them: of all peers, and of one. */
const HOPS_MAX = 256
const HOPS_PER_PEER_MAX = 32
/** A conversation that has not become a relayed connection by then ends. */
const HOP_TIMEOUT_MS = 10_000
/** While so much of one side waits to be sent to the other, nothing more is read from it. */
const WAITING_BYTES_MAX: number = 256 * 1024

type Components = Parameters<ReturnType<typeof circuitRelayServer>>[0]

/** What the relay needs. */
export interface RelayServerDeps {
  readonly clock: Clock
  readonly metrics: Metrics
}

/**
 * Makes the relay's service for a libp2p node. Whom it serves is the connection gater's decision.
 * @param options.bytesPerSecond - of all relayed connections together, both ways
 */
export function relayServer(
  deps: RelayServerDeps,
  options: { readonly bytesPerSecond: number },
): (components: Components) => ReturnType<ReturnType<typeof circuitRelayServer>> {
  return (components) => {
    const flow = new RelayFlow(deps, options.bytesPerSecond)
    const service = circuitRelayServer({
      hopTimeout: HOP_TIMEOUT_MS,
      maxInboundHopStreams: HOPS_PER_PEER_MAX,
      maxOutboundStopStreams: HOPS_MAX,
      reservations: {
        maxReservations: RESERVATIONS_MAX,
        reservationTtl: RESERVATION_MS,
        // The package counts milliseconds here, although the protocol's field is in seconds.
        defaultDurationLimit: RELAYED_MS_MAX,
        defaultDataLimit: BigInt(RELAYED_BYTES_MAX),
      },
    })(flow.standBetween(components))
    const help = "Peers that have a place on this relay."
    deps.metrics.gauge("sealift_net_relay_places", help, () => service.reservations.size)
    return service
  }
}

/**
 * Sees every stream that the relay reads from or writes to, and makes one wait when the other is
 * slower or the rate is used up: the package itself would keep in memory what it cannot send on.
 */
class RelayFlow {
  readonly #clock: Clock
  readonly #rate: ByteRate
  readonly #relayed: Counter
  readonly #hops = new Set<Stream>()
  readonly #hop = new AsyncLocalStorage<Stream>()

  constructor({ clock, metrics }: RelayServerDeps, bytesPerSecond: number) {
    this.#clock = clock
    this.#rate = new ByteRate(clock, bytesPerSecond)
    this.#relayed = metrics.counter("sealift_net_relay_bytes_total", "Bytes relayed for others.")
  }

  /** Gives components whose streams pass by here. */
  standBetween(components: Components): Components {
    const guarded = guardStreams(components, (protocol, stream, _from, take) => {
      if (protocol !== RELAY_V2_HOP_CODEC) return take()
      if (this.#hops.size >= HOPS_MAX) return stream.abort(new Error("the relay is full"))
      this.#hops.add(stream)
      stream.addEventListener("close", () => this.#hops.delete(stream))
      return this.#hop.run(stream, take)
    })
    const { connectionManager } = components
    const getConnections: typeof connectionManager.getConnections = (peer) =>
      connectionManager.getConnections(peer).map((connection) => this.#watched(connection))
    return override(guarded, { connectionManager: override(connectionManager, { getConnections }) })
  }

  #watched(connection: Connection): Connection {
    const newStream: Connection["newStream"] = async (protocols, options) => {
      const stop = await connection.newStream(protocols, options)
      const hop = this.#hop.getStore()
      if (hop !== undefined) {
        this.#regulate(hop, stop)
        this.#regulate(stop, hop)
      }
      return stop
    }
    return override(connection, { newStream })
  }

  #regulate(from: Stream, to: Stream): void {
    let waitingBytes = 0
    // Later, for pausing a stream inside its own `resume` leaves its window open (yamux 8).
    const pause = () => {
      if (waitingBytes > WAITING_BYTES_MAX && from.readStatus === "readable") from.pause()
    }
    from.addEventListener("message", ({ data }) => {
      waitingBytes += data.byteLength
      if (waitingBytes > WAITING_BYTES_MAX) queueMicrotask(pause)
    })
    const send = to.send.bind(to)
    to.send = (data) => {
      const hasRoom = send(data)
      this.#relayed.add(data.byteLength)
      waitingBytes -= data.byteLength
      if (waitingBytes <= WAITING_BYTES_MAX && from.readStatus === "paused") from.resume()
      const waitMs = this.#rate.take(data.byteLength)
      if (waitMs === 0) return hasRoom
      this.#clock.after(waitMs, () => {
        // A stream that is full says so itself when it has room again.
        if (to.writeStatus === "writable") to.dispatchEvent(new Event("drain"))
      })
      return false
    }
  }
}
