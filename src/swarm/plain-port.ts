/**
 * Standard BitTorrent clients over plain streams: gives them public blobs and takes blobs from them.
 * @module
 */
import type { Duplex } from "node:stream"
import type { Clock } from "../core/clock.ts"
import { type Digest, SHA1_BYTES } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { BAN_MS } from "./judge.ts"
import type { Metainfo } from "./metainfo.ts"
import { plainPeer } from "./plain-peer.ts"
import {
  type PlainDeps,
  type PlainOwner,
  PlainSession,
  type PlainTorrent,
} from "./plain-session.ts"
import { PlainWish, type WishEvents } from "./public/plain-wish.ts"
import type { Serving } from "./serving.ts"
import type { Holder } from "./swarm.ts"
import type { EngineTorrent } from "./torrent.ts"
import type { TorrentBook } from "./torrent-book.ts"
import type { Upload } from "./upload.ts"
import type { WireStream } from "./wire-socket.ts"

/** Connections with standard clients. */
export const SESSIONS_MAX = 256
/** Of them, those that clients opened: what this node fetches must not wait for strangers. */
export const INCOMING_MAX = 192
/** Of them, those with one address. */
export const SESSIONS_PER_HOST_MAX = 8
/** A client has this time to shake hands. */
export const HANDSHAKE_MS_MAX = 10_000
/** A client that says no more than this in this time is let go. */
const IDLE_MS_MAX = 120_000
/** What was written to a client that is let go has this time to go out. */
const LEAVE_MS_MAX = 10_000
/** Addresses that are remembered as banned. */
const BANNED_MAX = 10_000

export interface PlainPortDeps extends Omit<PlainDeps, "owner"> {
  readonly clock: Clock
  readonly log: Logger
  readonly serving: Serving
  readonly book: TorrentBook
  readonly isPublic: (digest: Digest) => boolean
  readonly torrent: (digest: Digest) => EngineTorrent | undefined
  /** A client has something of a torrent that is wanted. */
  onHolder(digest: Digest, holder: Holder): void
}

interface Entry {
  readonly duplex: Duplex
  readonly sinceMs: number
  lastMs: number
}

export class PlainPort implements PlainOwner {
  readonly #deps: PlainPortDeps
  readonly #sessions = new Map<PlainSession, Entry>()
  /** Connections that are closed and still have something to send. */
  readonly #leaving = new Map<Duplex, { readonly peer: PeerId; readonly sinceMs: number }>()
  readonly #wishes = new Map<string, PlainWish>()
  readonly #banned = new Map<PeerId, number>()
  #isStopped = false

  constructor(deps: PlainPortDeps) {
    this.#deps = deps
  }

  get count(): number {
    return this.#sessions.size
  }

  /**
   * Takes a connection of a client.
   * @param address - IP address and port of the client
   * @param metainfo - the torrent, where it is known before the client says it (WebRTC)
   */
  accept(stream: WireStream, address: string, metainfo?: Metainfo): void {
    const torrent = metainfo && { infoHash: metainfo.infoHash, metainfo }
    this.#open(stream, address, torrent)
  }

  /**
   * Wants a torrent from clients: from now on {@link PlainWish.connect} takes connections to them, and
   * the blob is fetched over them whenever it is joined.
   */
  wish(torrent: PlainTorrent, events: WishEvents = {}): PlainWish {
    const wish: PlainWish = new PlainWish(torrent, events, {
      open: (stream, address) => this.#open(stream, address, wish.torrent),
      sessions: () => this.#sessionsOf(wish),
      close: () => this.#forget(wish),
    })
    this.#wishes.set(hexOf(torrent.infoHash), wish)
    return wish
  }

  /** Clients that have something of a wanted blob. */
  holders(digest: Digest): readonly Holder[] {
    const wish = this.#wishOf(digest)
    return wish === undefined ? [] : this.#sessionsOf(wish).flatMap((one) => holderOf(one) ?? [])
  }

  /** Gives the SHA-1 of a piece by its torrent; undefined when none is known. */
  sha1Of(digest: Digest, index: number): Uint8Array | undefined {
    const at = index * SHA1_BYTES
    return this.#wishOf(digest)?.torrent.metainfo?.sha1List.subarray(at, at + SHA1_BYTES)
  }

  /** The blob is fetched from now on: clients that have something of it are sources. */
  onJoined(digest: Digest): void {
    for (const session of this.#sessions.keys()) {
      if (session.metainfo?.digest === digest) session.attach()
    }
  }

  /** The blob is public no more: clients that were given it are let go. */
  closeUploads(digest: Digest): void {
    for (const session of [...this.#sessions.keys()]) {
      if (session.metainfo?.digest === digest && session.isServed) session.close()
    }
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
      const isLate = !session.isGreeted && nowMs - times.sinceMs > HANDSHAKE_MS_MAX
      if (isLate) session.close()
      if (session.writer.isClogged) {
        session.close({ code: "LIMIT_EXCEEDED", message: "it reads nothing" })
      }
    }
    for (const [duplex, { sinceMs }] of this.#leaving) {
      if (nowMs - sinceMs > LEAVE_MS_MAX) duplex.destroy()
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const session of [...this.#sessions.keys()]) session.close()
  }

  find(infoHash: Uint8Array): Metainfo | undefined {
    const { book, isPublic } = this.#deps
    const digest = book.digestOf(infoHash)
    // Asked first, so that a private blob takes no longer to deny than an unknown one.
    return digest !== undefined && isPublic(digest) ? book.known(digest) : undefined
  }

  serve(session: PlainSession): Upload | undefined {
    const digest = session.metainfo?.digest
    if (digest === undefined) return undefined
    return this.#deps.serving.servePlain(session, digest, () => this.#deps.isPublic(digest))
  }

  attach(session: PlainSession, link: BlockLink): BlockSink | undefined {
    const digest = session.metainfo?.digest
    if (digest === undefined || this.#wishOf(digest) === undefined) return undefined
    const torrent = this.#deps.torrent(digest)
    return torrent?.wants(session.peer, 0) === true ? torrent.attach(link, undefined) : undefined
  }

  onInfo(session: PlainSession, infoBytes: Uint8Array): void {
    this.#wishFor(session)?.onInfo(infoBytes)
  }

  onExchange(session: PlainSession, payload: Uint8Array): void {
    this.#wishFor(session)?.onExchange(payload)
  }

  onKnown(session: PlainSession): void {
    const holder = this.#wishFor(session) === undefined ? undefined : holderOf(session)
    if (holder !== undefined) this.#deps.onHolder(session.metainfo!.digest, holder)
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
    const { peer } = session
    const duplex = this.#sessions.get(session)?.duplex
    this.#sessions.delete(session)
    if (duplex?.destroyed === false) {
      // Who reads nothing would keep it for ever, with all that was written.
      this.#leaving.set(duplex, { peer, sinceMs: this.#deps.clock.monotonicMs() })
      duplex.once("close", () => this.#leaving.delete(duplex))
    }
    if (fault !== undefined) this.#deps.log.debug({ peer, ...fault }, "a client was let go")
  }

  #open(stream: WireStream, address: string, torrent: PlainTorrent | undefined): void {
    const peer = plainPeer(address)
    const nowMs = this.#deps.clock.monotonicMs()
    const isBanned = (this.#banned.get(hostOf(peer)) ?? 0) > nowMs
    const isIncoming = torrent === undefined
    if (isBanned || this.#isStopped || this.#isCrowded(peer, isIncoming)) {
      stream.duplex.destroy()
      return
    }
    const session = new PlainSession(stream, { ...this.#deps, owner: this }, { peer, torrent })
    this.#sessions.set(session, { duplex: stream.duplex, sinceMs: nowMs, lastMs: nowMs })
  }

  #isCrowded(peer: PeerId, isIncoming: boolean): boolean {
    const all = [...this.#sessions.keys(), ...this.#leaving.values()]
    if (all.length >= (isIncoming ? INCOMING_MAX : SESSIONS_MAX)) return true
    const count = all.filter((one) => hostOf(one.peer) === hostOf(peer)).length
    return count >= SESSIONS_PER_HOST_MAX
  }

  #forget(wish: PlainWish): void {
    const key = hexOf(wish.torrent.infoHash)
    if (this.#wishes.get(key) === wish) this.#wishes.delete(key)
  }

  #wishOf(digest: Digest): PlainWish | undefined {
    for (const wish of this.#wishes.values()) {
      if (wish.torrent.metainfo?.digest === digest) return wish
    }
    return undefined
  }

  #wishFor(session: PlainSession): PlainWish | undefined {
    const infoHash = session.wanted?.infoHash ?? session.metainfo?.infoHash
    return infoHash === undefined ? undefined : this.#wishes.get(hexOf(infoHash))
  }

  #sessionsOf(wish: PlainWish): PlainSession[] {
    return [...this.#sessions.keys()].filter((session) => this.#wishFor(session) === wish)
  }
}

function holderOf(session: PlainSession): Holder | undefined {
  const { pieces, metainfo, peer } = session
  if (pieces === undefined || metainfo === undefined || pieces.count === 0) return undefined
  return { peer, isComplete: pieces.isFull, sizeBytes: metainfo.layout.sizeBytes, isPlain: true }
}

/** The address without the port: clients choose a new port for each connection. */
function hostOf(peer: PeerId): string {
  return peer.slice(0, peer.lastIndexOf(":"))
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
