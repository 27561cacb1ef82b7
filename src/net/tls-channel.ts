/**
 * The two ends of a data channel: TLS 1.3 keyed by a ticket alone (protocol/data-channel.md).
 * @module
 */
import type { TLSSocket } from "node:tls"
import type { Endpoint } from "./address.ts"
import { NetError } from "./errors.ts"
import type { PeerId } from "./net.ts"
import { deriveChannelKey, type Ticket, type TicketBook } from "./ticket.ts"
import { type OpenedSocket, openKeyedSocket, type TlsDoor } from "./tls-socket.ts"

/** Lets in who holds a ticket of this node. */
export class TicketDoor implements TlsDoor {
  readonly #tickets: TicketBook
  readonly #self: PeerId
  readonly #onChannel: (peer: PeerId, socket: TLSSocket) => void

  constructor(
    deps: { tickets: TicketBook },
    options: { self: PeerId; onChannel: (peer: PeerId, socket: TLSSocket) => void },
  ) {
    this.#tickets = deps.tickets
    this.#self = options.self
    this.#onChannel = options.onChannel
  }

  isOpen(): boolean {
    return this.#tickets.size > 0
  }

  keyOf(identity: string): Uint8Array | undefined {
    const ticket = this.#tickets.find(identity)
    if (ticket === undefined) return undefined
    return deriveChannelKey(ticket.secret, { seeder: this.#self, fetcher: ticket.peer })
  }

  take(identity: string, socket: TLSSocket): void {
    const peer = this.#tickets.consume(identity)
    if (peer === undefined) socket.destroy()
    else this.#onChannel(peer, socket)
  }
}

/**
 * Opens a channel with a ticket.
 * @param target - where to connect, and the local port to connect from when that matters
 * @param peers - `seeder` gave the ticket, `fetcher` is this node
 * @throws NetError `PEER_UNREACHABLE` when no socket comes about in time, `TICKET_INVALID` when the
 * other side refuses the ticket, or the signal's reason
 */
export async function openTlsSocket(
  target: { endpoint: Endpoint; localPort?: number; ticket: Ticket },
  peers: { seeder: PeerId; fetcher: PeerId },
  options: { signal: AbortSignal; onConnect?: () => void },
): Promise<OpenedSocket> {
  const { endpoint, localPort, ticket } = target
  const key = deriveChannelKey(ticket.secret, peers)
  return openKeyedSocket(
    { endpoint, localPort, identity: ticket.id, key },
    { signal: options.signal, onConnect: options.onConnect, refusal: ticketRefused },
  )
}

function ticketRefused(): NetError {
  return new NetError("TICKET_INVALID", "the ticket was refused")
}
