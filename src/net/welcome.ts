/**
 * Whether the other side let this node in. Its refusal shows only after a dial: the connection stands
 * on this side, and is closed a moment later. Until something came back over it nobody is told of it:
 * whoever is told asks, and each question to a peer that refused would dial it once more.
 * @module
 */
import type { Connection } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { startDeadline } from "./deadline.ts"
import { peerGone } from "./errors.ts"

/** One round trip is waited for this long: a busy machine is not a refusal. */
const ROUND_TRIP_MS_MAX = 10_000

/** What is needed of the network. */
export interface WelcomeDeps {
  readonly clock: Clock
  /** Sends a peer something that it sends back. @returns milliseconds */
  readonly ping: (connection: Connection, signal: AbortSignal) => Promise<number>
  /** Called once for each connection over which this node was let in. */
  readonly onWelcome: (connection: Connection) => void
  /** Called once for each connection that ended before anything came back. */
  readonly onRefused: (connection: Connection) => void
}

/** Follows the connections that one node dials until it is known whether they are welcome. */
export class Welcome {
  readonly #deps: WelcomeDeps
  readonly #asked = new WeakMap<Connection, Promise<void>>()
  readonly #told = new WeakSet<Connection>()

  constructor(deps: WelcomeDeps) {
    this.#deps = deps
  }

  /**
   * Waits until the other side let this node in; asks it once, whoever waits. A connection over which
   * nothing came back is ended.
   * @throws NetError `PEER_UNREACHABLE`, what the ping failed with, or the signal's reason
   */
  async check(connection: Connection, signal?: AbortSignal): Promise<void> {
    if (this.#told.has(connection)) return
    const asked = this.#asked.get(connection) ?? this.#ask(connection)
    this.#asked.set(connection, asked)
    await (signal === undefined ? asked : untilAborted(asked, signal))
  }

  /** Something came over a connection: it is welcome. */
  proven(connection: Connection): void {
    if (this.#told.has(connection) || connection.status !== "open") return
    this.#told.add(connection)
    this.#deps.onWelcome(connection)
  }

  async #ask(connection: Connection): Promise<void> {
    try {
      connection.rtt = await this.#roundTrip(connection)
      if (connection.status !== "open") throw peerGone(connection.remotePeer.toString())
    } catch (error) {
      if (this.#told.has(connection)) return
      this.#deps.onRefused(connection)
      connection.abort(error instanceof Error ? error : peerGone(connection.remotePeer.toString()))
      throw error
    }
    this.proven(connection)
  }

  async #roundTrip(connection: Connection): Promise<number> {
    const closing = new AbortController()
    const onClose = () => closing.abort(peerGone(connection.remotePeer.toString()))
    connection.addEventListener("close", onClose)
    // A ping whose connection closes, or whose answer never comes, would wait for ever.
    const deadline = startDeadline(this.#deps.clock, ROUND_TRIP_MS_MAX, closing.signal)
    try {
      return await this.#deps.ping(connection, deadline.signal)
    } finally {
      deadline.clear()
      connection.removeEventListener("close", onClose)
    }
  }
}
