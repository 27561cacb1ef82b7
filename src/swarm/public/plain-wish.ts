/**
 * A torrent that is wanted from standard clients: the connections to them, and its metainfo as soon as
 * one of them has given it.
 * @module
 */
import { messageOf } from "../../core/errors.ts"
import { SwarmError } from "../errors.ts"
import { type Metainfo, parseInfo } from "../metainfo.ts"
import type { PlainSession, PlainTorrent } from "../plain-session.ts"
import type { WireStream } from "../wire-socket.ts"

/** What a wish tells whoever made it. */
export interface WishEvents {
  readonly onMetainfo?: (metainfo: Metainfo) => void
  /** What the info-hash stands for is no torrent of one blob: it will never be had. */
  readonly onForeign?: (error: SwarmError) => void
  /** Other clients that one client knows (BEP 11), still encoded. */
  readonly onExchange?: (payload: Uint8Array) => void
}

/** What a wish needs of the port. */
export interface WishHost {
  open(stream: WireStream, address: string): void
  sessions(): readonly PlainSession[]
  close(): void
}

export class PlainWish {
  readonly #events: WishEvents
  readonly #host: WishHost
  #torrent: PlainTorrent

  constructor(torrent: PlainTorrent, events: WishEvents, host: WishHost) {
    this.#torrent = torrent
    this.#events = events
    this.#host = host
  }

  get torrent(): PlainTorrent {
    return this.#torrent
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#host.sessions().length
  }

  /** Takes a connection that leads to a client of this torrent. @param address - `HOST:PORT` */
  connect(stream: WireStream, address: string): void {
    this.#host.open(stream, address)
  }

  /** Nobody wants it any more: the connections are closed. */
  close(): void {
    const sessions = this.#host.sessions()
    this.#host.close()
    for (const session of sessions) session.close()
  }

  /** @param infoBytes - the SHA-1 of which is the info-hash */
  onInfo(infoBytes: Uint8Array): void {
    if (this.#torrent.metainfo !== undefined) return
    try {
      const metainfo = parseInfo(infoBytes)
      this.#torrent = { infoHash: metainfo.infoHash, metainfo }
    } catch (error) {
      const message = `not a torrent of one blob as protocol/metainfo.md has it: ${messageOf(error)}`
      this.#events.onForeign?.(new SwarmError("METAINFO_INVALID", message, { cause: error }))
      return
    }
    const { metainfo } = this.#torrent
    for (const session of this.#host.sessions()) session.learn(metainfo!)
    this.#events.onMetainfo?.(metainfo!)
  }

  onExchange(payload: Uint8Array): void {
    this.#events.onExchange?.(payload)
  }
}
