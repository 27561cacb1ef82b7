/**
 * Tickets: the right to open one data channel, for one peer, for a moment
 * (protocol/data-channel.md).
 * @module
 */
import { hkdfSync, randomBytes } from "node:crypto"
import type { Clock } from "../core/clock.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { NetError } from "./errors.ts"
import type { PeerId } from "./net.ts"

export const TICKET_ID_BYTES = 16
export const TICKET_SECRET_BYTES = 32
/** How long a ticket is good; the protocol allows at most 30 s. */
export const TICKET_LIFETIME_MS = 20_000
export const TICKET_LIFETIME_MS_MAX = 30_000
/** Unused tickets of one peer, and of all. */
export const TICKETS_PER_PEER_MAX = 16
export const TICKETS_MAX = 1024
/** Largest ticket on the wire, and the most addresses that are read from it. */
export const TICKET_MESSAGE_BYTES_MAX = 8192
export const TICKET_ADDRESSES_MAX = 16
const KEY_BYTES = 32
const KEY_LABEL = "sealift/channel/v1"

/** What the asker gets. `id` is hex; `addresses` are multiaddrs where TLS is spoken. */
export interface Ticket {
  readonly id: string
  readonly secret: Uint8Array
  readonly addresses: readonly string[]
  readonly expiresInMs: number
}

interface IssuedTicket {
  readonly peer: PeerId
  readonly secret: Uint8Array
  readonly untilMs: number
}

/** The tickets that one node has given out. */
export class TicketBook {
  readonly #clock: Clock
  readonly #tickets = new Map<string, IssuedTicket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws NetError `TICKET_INVALID` when the peer, or everybody together, holds too many */
  issue(peer: PeerId, addresses: readonly string[]): Ticket {
    this.#sweep()
    const held = [...this.#tickets.values()].filter((ticket) => ticket.peer === peer).length
    if (held >= TICKETS_PER_PEER_MAX || this.#tickets.size >= TICKETS_MAX) {
      throw new NetError("TICKET_INVALID", `too many unused tickets: ${held} of ${peer}`)
    }
    const id = randomBytes(TICKET_ID_BYTES).toString("hex")
    const secret = Uint8Array.from(randomBytes(TICKET_SECRET_BYTES))
    const untilMs = this.#clock.monotonicMs() + TICKET_LIFETIME_MS
    this.#tickets.set(id, { peer, secret, untilMs })
    const used = addresses.slice(0, TICKET_ADDRESSES_MAX)
    return { id, secret, addresses: used, expiresInMs: TICKET_LIFETIME_MS }
  }

  /** Looks a ticket up without using it: whoever asks has not yet proved to know the secret. */
  find(id: string): { readonly peer: PeerId; readonly secret: Uint8Array } | undefined {
    const ticket = this.#tickets.get(id)
    if (ticket === undefined || ticket.untilMs <= this.#clock.monotonicMs()) return undefined
    return ticket
  }

  /** Uses a ticket up. @returns whose it was; undefined when it is unknown, used or expired */
  consume(id: string): PeerId | undefined {
    const peer = this.find(id)?.peer
    this.#tickets.delete(id)
    return peer
  }

  /** Takes back all unused tickets of a peer. */
  revoke(peer: PeerId): void {
    for (const [id, ticket] of this.#tickets) if (ticket.peer === peer) this.#tickets.delete(id)
  }

  get size(): number {
    return this.#tickets.size
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [id, { untilMs }] of this.#tickets) if (untilMs <= nowMs) this.#tickets.delete(id)
  }
}

/**
 * Derives the TLS pre-shared key from a ticket: HKDF-SHA256 (RFC 5869) without a salt.
 * @param peers - who gave the ticket (`seeder`) and who uses it (`fetcher`), in text form
 */
export function deriveChannelKey(
  secret: Uint8Array,
  peers: { readonly seeder: PeerId; readonly fetcher: PeerId },
): Uint8Array {
  const label = lengthPrefixed(KEY_LABEL, peers.seeder, peers.fetcher)
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(), label, KEY_BYTES))
}

/** Writes a ticket as JSON, UTF-8. */
export function encodeTicket(ticket: Ticket): Uint8Array {
  const { id, addresses, expiresInMs } = ticket
  const secret = Buffer.from(ticket.secret).toString("hex")
  return Buffer.from(JSON.stringify({ id, secret, addresses, expiresInMs }))
}

/** Reads a ticket. @throws NetError `PROTOCOL_VIOLATION` */
export function parseTicket(bytes: Uint8Array): Ticket {
  const fields = bytes.length <= TICKET_MESSAGE_BYTES_MAX ? parseObject(bytes) : undefined
  const { id, secret, addresses, expiresInMs } = fields ?? {}
  const isRight =
    isHex(id, TICKET_ID_BYTES) &&
    isHex(secret, TICKET_SECRET_BYTES) &&
    isAddressList(addresses) &&
    isLifetime(expiresInMs)
  if (!isRight) throw new NetError("PROTOCOL_VIOLATION", "the peer sent a malformed ticket")
  return { id, secret: Uint8Array.from(Buffer.from(secret, "hex")), addresses, expiresInMs }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    // Not JSON: the caller names the fault.
    return undefined
  }
}

function isHex(value: unknown, sizeBytes: number): value is string {
  return typeof value === "string" && /^[0-9a-f]*$/.test(value) && value.length === 2 * sizeBytes
}

function isAddressList(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > TICKET_ADDRESSES_MAX) return false
  return value.every((address) => typeof address === "string")
}

function isLifetime(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= TICKET_LIFETIME_MS_MAX
}
