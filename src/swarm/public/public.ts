/**
 * The public side of a node: blobs that its owner gives to everybody as ordinary torrents, and
 * torrents that are fetched from strangers (adapter: `public-side.ts`).
 * @module
 */
import type { Digest } from "../../core/digest.ts"
import type { Metainfo } from "../metainfo.ts"
import type { PeerAddress, TorrentLink } from "./torrent-link.ts"

/** A blob that is public. */
export interface PublicTorrent {
  readonly digest: Digest
  /** Undefined unless the blob is here, whole, and free to leave. */
  readonly metainfo: Metainfo | undefined
}

/** A torrent that is looked for; close it when it is not wanted any more. */
export interface Seek extends Disposable {
  /** Resolves as soon as the metainfo is known. @throws SwarmError `METAINFO_INVALID` if foreign */
  readonly metainfo: Promise<Metainfo>
  /** Clients that are connected for it. */
  readonly clientCount: number
  /** Connects to a client that the user names. */
  addPeer(address: PeerAddress): void
}

export interface PublicSide {
  /** Trackers that `.torrent` files and magnet links name. */
  readonly trackers: readonly string[]
  /** Port on which clients are served; undefined while nothing is. */
  readonly port: number | undefined
  list(): readonly PublicTorrent[]
  isPublic(digest: Digest): boolean
  /** Gives the torrent of a complete blob, public or not; undefined unless it is complete here. */
  torrentOf(digest: Digest): Promise<Metainfo | undefined>
  /**
   * Makes a blob public, until {@link hide}; the mark outlives the process.
   * @throws SwarmError `PUBLIC_REFUSED` if it is not here, not whole, or must not leave this node;
   * `PUBLIC_PORT_IN_USE` if the port for clients cannot be opened
   */
  publish(digest: Digest): Promise<Metainfo>
  /** Takes it back: running uploads end, the port is closed with the last one. */
  hide(digest: Digest): Promise<boolean>
  /** Looks for clients that have a torrent. */
  seek(link: TorrentLink): Seek
  stop(): Promise<void>
}
