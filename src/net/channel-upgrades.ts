/**
 * Relayed data channels that may still become direct ones: now and then a hole is tried, and when one is
 * there the relayed channel ends (protocol/nat.md).
 * @module
 */
import type { Connection } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import type { Channel, PeerId } from "./net.ts"
import type { OpenedSocket } from "./tls-socket.ts"

/** The pause before the first attempt at a channel's upgrade doubles up to the longest one. */
const PAUSE_MS_MIN = 60_000
const PAUSE_MS_MAX = 900_000
/** The whole of an attempt. */
const ATTEMPT_TIMEOUT_MS = 20_000
/** A socket that nobody asks for within this time is closed. */
const READY_MS_MAX = 5_000

/** What upgrades need of the desk. */
export interface ChannelUpgradesDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly punch: (connection: Connection, signal: AbortSignal) => Promise<OpenedSocket>
}

interface Ready {
  readonly opened: OpenedSocket
  readonly cancel: () => void
}

/** One per node. At most one attempt for a peer at a time, and one socket that waits. */
export class ChannelUpgrades {
  readonly #deps: ChannelUpgradesDeps
  readonly #ready = new Map<PeerId, Ready>()
  readonly #trying = new Set<PeerId>()
  readonly #closed = new AbortController()

  constructor(deps: ChannelUpgradesDeps) {
    this.#deps = deps
  }

  /** Gives the socket that replaces a relayed channel, once. */
  take(peer: PeerId): OpenedSocket | undefined {
    const ready = this.#ready.get(peer)
    this.#ready.delete(peer)
    ready?.cancel()
    return ready === undefined || ready.opened.socket.destroyed ? undefined : ready.opened
  }

  /** Ends a relayed channel: whoever uses it opens another one, and is given this socket. */
  replace(channel: Channel, opened: OpenedSocket): void {
    const { peer, duplex } = channel
    if (duplex.destroyed || this.#ready.has(peer) || this.#closed.signal.aborted) {
      opened.socket.destroy()
      return
    }
    const cancel = this.#deps.clock.after(READY_MS_MAX, () => this.drop(peer))
    this.#ready.set(peer, { opened, cancel })
    this.#deps.log.info({ peer }, "a data channel needs its relay no more")
    duplex.destroy()
  }

  /** Tries from time to time, as long as the channel is open. */
  tryLater(channel: Channel, connection: Connection, pauseMs: number = PAUSE_MS_MIN): void {
    if (channel.duplex.destroyed || this.#closed.signal.aborted) return
    const next = () => this.tryLater(channel, connection, Math.min(2 * pauseMs, PAUSE_MS_MAX))
    const cancel = this.#deps.clock.after(pauseMs, () => {
      channel.duplex.off("close", cancel)
      this.#try(channel, connection).then((isDone) => {
        if (!isDone) next()
      })
    })
    channel.duplex.once("close", cancel)
  }

  /** The peer is gone or banned. */
  drop(peer: PeerId): void {
    this.take(peer)?.socket.destroy()
  }

  close(): void {
    this.#closed.abort(new NetError("NETWORK_STOPPED", "the network is stopped"))
    for (const peer of [...this.#ready.keys()]) this.drop(peer)
  }

  async #try(channel: Channel, connection: Connection): Promise<boolean> {
    const { peer, duplex } = channel
    if (duplex.destroyed) return true
    if (this.#trying.has(peer) || this.#ready.has(peer)) return false
    this.#trying.add(peer)
    const { clock, log, punch } = this.#deps
    const deadline = startDeadline(clock, ATTEMPT_TIMEOUT_MS, this.#closed.signal)
    try {
      this.replace(channel, await punch(connection, deadline.signal))
      return true
    } catch (error) {
      log.debug({ peer, error: messageOf(error) }, "a data channel still needs its relay")
      return false
    } finally {
      deadline.clear()
      this.#trying.delete(peer)
    }
  }
}
