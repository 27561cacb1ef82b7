/**
 * Standard BitTorrent clients over plain sockets: gives them public blobs and takes blobs from them.
 * @module
 */
import { createHash } from "node:crypto"
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { BAN_MS } from "./judge.ts"
import { type Metainfo, SHA1_BYTES } from "./metainfo.ts"
import { plainPeer } from "./plain-peer.ts"
import { type PlainDeps, type PlainOwner, PlainSession } from "./plain-session.ts"
import type { Serving } from "./serving.ts"
import type { EngineTorrent } from "./torrent.ts"
import type { TorrentBook } from "./torrent-book.ts"
import type { Upload } from "./upload.ts"
import type { WireStream } from "./wire-socket.ts"

/** Connections with standard clients. */
const SESSIONS_MAX = 256
/** A client that says no more than this in this time is let go. */
const IDLE_MS_MAX = 120_000
/** Addresses that are remembered as banned. */
const BANNED_MAX = 10_000

export interface PlainPortDeps extends Omit<PlainDeps, "owner"> {
  readonly clock: Clock
  readonly log: Logger
  readonly serving: Serving
  readonly book: TorrentBook
  readonly isPublic: (digest: Digest) => boolean
  readonly torrent: (digest: Digest) => EngineTorrent | undefined
}

export class PlainPort implements PlainOwner {
  readonly #deps: PlainPortDeps
  readonly #sessions = new Map<PlainSession, { lastMs: number }>()
  /** Torrents that are fetched from standard clients, whose SHA-1 lists are then known. */
  readonly #wanted = new Map<Digest, Metainfo>()
  readonly #banned = new Map<PeerId, number>()

  constructor(deps: PlainPortDeps) {
    this.#deps = deps
  }

  get count(): number {
    return this.#sessions.size
  }

  /** Takes a connection that a client opened. @param address - IP address and port of the client */
  accept(stream: WireStream, address: string): void {
    this.#open(stream, address, undefined)
  }

  /** Fetches a joined blob from a client, over a connection that this node opened to it. */
  fetch(stream: WireStream, address: string, metainfo: Metainfo): void {
    this.#wanted.set(metainfo.digest, metainfo)
    this.#open(stream, address, metainfo)
  }

  /** Checks a piece against the SHA-1 list of its torrent; undefined when none is known. */
  isRight(digest: Digest, index: number, bytes: Uint8Array): boolean | undefined {
    const metainfo = this.#wanted.get(digest)
    if (metainfo === undefined) return undefined
    const sha1 = createHash("sha1").update(bytes).digest()
    const at = index * SHA1_BYTES
    return Buffer.compare(metainfo.sha1List.subarray(at, at + SHA1_BYTES), sha1) === 0
  }

  /** Nobody fetches this blob any more. */
  forget(digest: Digest): void {
    this.#wanted.delete(digest)
  }

  /** Bans the address of a client. */
  ban(peer: PeerId): void {
    const [oldest] = this.#banned.keys()
    if (this.#banned.size >= BANNED_MAX && oldest !== undefined) this.#banned.delete(oldest)
    this.#banned.set(hostOf(peer), this.#deps.clock.monotonicMs() + BAN_MS)
    for (const session of [...this.#sessions.keys()]) {
      if (hostOf(session.peer) === hostOf(peer)) session.close()
    }
  }

  tick(nowMs: number): void {
    for (const [session, times] of [...this.#sessions]) {
      if (session.takeActivity()) times.lastMs = nowMs
      else if (nowMs - times.lastMs > IDLE_MS_MAX) session.close()
      if (session.writer.isClogged) session.close()
    }
  }

  stop(): void {
    for (const session of [...this.#sessions.keys()]) session.close()
  }

  find(infoHash: Uint8Array): Metainfo | undefined {
    const metainfo = this.#deps.book.find(infoHash)
    return metainfo !== undefined && this.#deps.isPublic(metainfo.digest) ? metainfo : undefined
  }

  serve(session: PlainSession): Upload | undefined {
    const { digest } = session.metainfo
    return this.#deps.serving.servePlain(session, digest, () => this.#deps.isPublic(digest))
  }

  attach(session: PlainSession, link: BlockLink): BlockSink | undefined {
    const { digest } = session.metainfo
    const torrent = this.#deps.torrent(digest)
    if (torrent === undefined || !this.#wanted.has(digest)) return undefined
    return torrent.wants(session.peer, 0) ? torrent.attach(link, undefined) : undefined
  }

  onInterested(session: PlainSession, upload: Upload, isInterested: boolean): void {
    this.#deps.serving.onInterested(session, upload, isInterested)
  }

  onHave(session: PlainSession, upload: Upload, index: number): void {
    this.#deps.serving.onHave(session, upload, index)
  }

  onUploadClosed(session: PlainSession, upload: Upload): void {
    this.#deps.serving.onUploadClosed(session, upload)
  }

  onClosed(session: PlainSession, fault: WireFault | undefined): void {
    this.#sessions.delete(session)
    const { peer } = session
    if (fault !== undefined) this.#deps.log.debug({ peer, ...fault }, "a client was let go")
  }

  #open(stream: WireStream, address: string, metainfo: Metainfo | undefined): void {
    const peer = plainPeer(address)
    const nowMs = this.#deps.clock.monotonicMs()
    const isBanned = (this.#banned.get(hostOf(peer)) ?? 0) > nowMs
    if (isBanned || this.#sessions.size >= SESSIONS_MAX) {
      stream.duplex.destroy()
      return
    }
    const session = new PlainSession(stream, { ...this.#deps, owner: this }, { peer, metainfo })
    this.#sessions.set(session, { lastMs: nowMs })
  }
}

/** The address without the port: clients choose a new port for each connection. */
function hostOf(peer: PeerId): string {
  return peer.slice(0, peer.lastIndexOf(":"))
}
