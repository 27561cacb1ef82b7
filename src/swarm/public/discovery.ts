/**
 * The port to whatever knows clients of a torrent: trackers, the mainline DHT.
 * @module
 */
import type { WireStream } from "../wire-socket.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** A tracker, and whether it may be inside a private network. */
export interface TrackerName {
  readonly url: string
  readonly mayBePrivate: boolean
}

/** A torrent for which clients are looked for. */
export interface Announced {
  readonly infoHash: Uint8Array
  readonly trackers: readonly TrackerName[]
  /** Bytes that are missing here; 0: this node seeds. Undefined: nobody knows how many there are. */
  leftBytes(): number | undefined
  /** Port on which clients reach this node; undefined while none is open. */
  port(): number | undefined
  /** A client that a stranger named. */
  onAddress(address: PeerAddress): void
  /** A connection to a client, made another way than by TCP. @param address - `HOST:PORT` */
  onStream(stream: WireStream, address: string): void
}

export interface Discovery {
  /** Tells of the torrent and looks for clients again and again. @returns the way to stop */
  announce(torrent: Announced): () => void
  stop(): Promise<void>
}
