/**
 * What the fetching side of a torrent and a connection know of each other, be it a channel that
 * carries many torrents or a standard client's socket.
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { PeerId } from "../net/net.ts"
import type { WireFault } from "./errors.ts"
import type { LinkPace } from "./link-pace.ts"
import type { LinkTraffic } from "./shaping.ts"
import type { WAIT } from "./wire-parser.ts"

/** One torrent on one connection, to ask for blocks. */
export interface BlockLink {
  readonly peer: PeerId
  /** Of the whole connection. */
  readonly pace: LinkPace
  /** Limits of the connection; undefined where nothing is ever limited. */
  readonly traffic?: LinkTraffic | undefined
  request(index: number, begin: number, length: number): void
  cancel(index: number, begin: number, length: number): void
  /** Tells whether anything of the other side is wanted, so that it need not keep a turn. */
  interest(isInterested: boolean): void
  /** Tells that a piece which came over it has arrived. */
  have(index: number): void
  /** There is room again for the block that had to wait. */
  resume(): void
  /** The place of the block that is coming in is taken away. */
  discardBlock(): void
  /** Ends this torrent on the connection. */
  close(): void
  /** Ends the connection: the other side broke the protocol. */
  fail(fault: WireFault): void
}

/** Takes what a connection brings for one torrent. */
export interface BlockSink {
  /**
   * The other side answered: what it has, and whether it lets us fetch.
   * @param sizeBytes - the blob's size as it says
   */
  onOpened(opened: { pieces: Bitfield; sizeBytes: number; isChoked: boolean }): void
  onHave(index: number): WireFault | undefined
  /** The other side lost a piece (BEP 54). */
  onLost(index: number): WireFault | undefined
  /** The other side would have us ask for this piece next (BEP 6). */
  onSuggested(index: number): WireFault | undefined
  onChoked(isChoked: boolean): void
  onRejected(index: number, begin: number): void
  /** All requests were dropped: a choke by a client without BEP 6. */
  onDropped(): void
  onBlock(index: number, begin: number, length: number): Uint8Array | undefined | typeof WAIT
  onBlockEnd(): WireFault | undefined
  /** A batch of the live piece list, still encoded. */
  onBatch(payload: Uint8Array): void
  /** The torrent is over on this connection: refused by the other side, or the connection closed. */
  onClosed(reason: "refused" | "closed"): void
}
