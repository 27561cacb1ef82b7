/**
 * The wire with one peer over a data channel: one connection, many torrents both ways
 * (protocol/wire-extension.md).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Channel, PeerId } from "../net/net.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { LinkPace } from "./link-pace.ts"
import type { LinkTraffic, Shaping } from "./shaping.ts"
import type { Upload } from "./upload.ts"
import { type BatchBuffers, type UploadEvents, UploadServer } from "./upload-server.ts"
import {
  encodeChannelHandshake,
  encodeNumber,
  encodeOpen,
  encodeOpened,
  isChannelHandshake,
  type Open,
  parseNumber,
  parseOpen,
  parseOpened,
} from "./wire-extension.ts"
import {
  CHANNEL_INFO_HASH,
  EXTENDED,
  encodeHandshake,
  type Handshake,
  MESSAGE,
} from "./wire-messages.ts"
import type { WAIT } from "./wire-parser.ts"
import { type WireOwner, WireSocket } from "./wire-socket.ts"
import type { WireWriter } from "./wire-writer.ts"

/** Torrents that one peer may have open on one channel. */
export const TORRENTS_OPEN_MAX = 1024

/** What a session tells its engine. */
export interface SessionOwner {
  /** A peer asks for a blob: answer with `accept` and `answer`, or `refuse`. */
  onOpen(session: ChannelSession, open: Open): void
  onInterested(session: ChannelSession, upload: Upload, isInterested: boolean): void
  /** The peer tells that a piece has arrived. */
  onHave(session: ChannelSession, upload: Upload, index: number): void
  onUploadClosed(session: ChannelSession, upload: Upload): void
  onClosed(session: ChannelSession, fault: WireFault | undefined): void
}

export interface SessionDeps {
  readonly owner: SessionOwner
  readonly buffers: BatchBuffers
  readonly uploadEvents: UploadEvents
  readonly clock: Clock
  readonly shaping?: Shaping | undefined
  /** 20 bytes that mean nothing to the other side. */
  readonly wirePeerId: Uint8Array
  readonly version: string
}

/** One channel. The side that opened it numbers its torrents evenly, the other oddly. */
export class ChannelSession implements WireOwner {
  readonly peer: PeerId
  readonly server: UploadServer
  /** Of what is fetched over it. */
  readonly pace: LinkPace
  readonly traffic: LinkTraffic | undefined
  readonly #socket: WireSocket
  readonly #owner: SessionOwner
  readonly #sinks = new Map<number, BlockSink>()
  readonly #uploads = new Map<number, Upload>()
  #nextNumber: number
  /** The last number that the other side used. */
  #theirNumber: number
  readonly #ourParity: number
  /** Of incoming messages. */
  #context = -1
  #contextSink: BlockSink | undefined
  #contextUpload: Upload | undefined
  /** The torrent whose block is coming in: a context never changes inside a message. */
  #blockSink: BlockSink | undefined

  constructor(channel: Channel, deps: SessionDeps, options: { isOpener: boolean }) {
    this.peer = channel.peer
    this.pace = new LinkPace(deps.clock.monotonicMs())
    this.#owner = deps.owner
    this.#ourParity = options.isOpener ? 0 : 1
    this.#nextNumber = this.#ourParity
    this.#theirNumber = 1 - this.#ourParity - 2
    this.traffic = deps.shaping?.link(channel.peer)
    const { traffic } = this
    this.#socket = new WireSocket(channel, this, { hasContexts: true, traffic })
    this.server = new UploadServer({
      writer: this.writer,
      buffers: deps.buffers,
      events: deps.uploadEvents,
      clock: deps.clock,
      traffic,
    })
    this.writer.raw(encodeHandshake(CHANNEL_INFO_HASH, deps.wirePeerId))
    this.writer.extended(EXTENDED.handshake, encodeChannelHandshake(deps.version))
    this.#socket.start()
  }

  get writer(): WireWriter {
    return this.#socket.writer
  }

  get isClosed(): boolean {
    return this.#socket.isClosed
  }

  /** Torrents open in either direction. */
  get torrentCount(): number {
    return this.#sinks.size + this.#uploads.size
  }

  get isFull(): boolean {
    return this.#sinks.size >= TORRENTS_OPEN_MAX
  }

  /** Asks the other side for a blob. Requests may follow at once. */
  open(digest: Digest, attach: (link: BlockLink) => BlockSink): void {
    const torrent = this.#nextNumber
    this.#nextNumber += 2
    this.writer.extended(EXTENDED.open, encodeOpen({ torrent, digest }))
    this.#sinks.set(torrent, attach(new SessionLink(this, torrent)))
  }

  /** Notes an upload whose answer will follow; requests for it are kept until then. */
  accept(upload: Upload): void {
    this.#uploads.set(upload.torrent, upload)
    this.server.add(upload)
    this.#contextChanged()
  }

  /** Answers an open with what is here. */
  answer(upload: Upload): void {
    const { torrent, announced, isChoked } = upload
    const { sizeBytes } = upload.reader.layout
    if (!isChoked) upload.superSeeding?.suggest(upload)
    const opened = { torrent, sizeBytes, isChoked, pieces: announced }
    this.writer.extended(EXTENDED.opened, encodeOpened(opened))
    upload.ready()
    this.server.kick()
  }

  /** Refuses a torrent, or ends one that was accepted: forbidden, unknown and gone are one answer. */
  refuse(torrent: number): void {
    this.writer.extended(EXTENDED.refused, encodeNumber(torrent))
    this.#dropUpload(torrent)
  }

  sendBatch(upload: Upload, payload: Uint8Array): void {
    this.writer.extended(EXTENDED.pieceList, payload, upload.torrent)
  }

  sendLost(upload: Upload, index: number): void {
    this.writer.extended(EXTENDED.dontHave, encodeNumber(index), upload.torrent)
  }

  close(fault?: WireFault): void {
    this.#socket.close(fault)
  }

  // Of the links.

  resume(): void {
    this.#socket.resume()
  }

  discardBlock(torrent: number): void {
    if (this.#blockSink === this.#sinks.get(torrent)) this.#socket.discardBlock()
  }

  closeTorrent(torrent: number): void {
    if (!this.#sinks.delete(torrent) || this.isClosed) return
    this.writer.extended(EXTENDED.close, encodeNumber(torrent))
    this.#contextChanged()
    this.#socket.resume()
  }

  // Of the wire.

  onHandshake(handshake: Handshake): WireFault | undefined {
    const isOurs = Buffer.compare(handshake.infoHash, CHANNEL_INFO_HASH) === 0
    if (isOurs && handshake.hasFast && handshake.hasExtended) return undefined
    return { code: "HANDSHAKE_INVALID", message: "not the handshake of a channel" }
  }

  onSignal(id: number): WireFault | undefined {
    if (id === MESSAGE.choke) this.#contextSink?.onChoked(true)
    else if (id === MESSAGE.unchoke) this.#contextSink?.onChoked(false)
    else if (this.#contextUpload !== undefined) {
      const isInterested = id === MESSAGE.interested
      if (!isInterested && id !== MESSAGE.notInterested) return undefined
      this.#owner.onInterested(this, this.#contextUpload, isInterested)
    }
    return undefined
  }

  onHave(index: number): WireFault | undefined {
    const upload = this.#contextUpload
    if (upload === undefined) return this.#contextSink?.onHave(index)
    this.#owner.onHave(this, upload, index)
    return undefined
  }

  onSuggest(index: number): WireFault | undefined {
    return this.#contextSink?.onSuggested(index)
  }

  onBitfield(): WireFault | undefined {
    return { code: "EXTENSION_INVALID", message: "a bitfield outside of `opened`" }
  }

  onBlockMessage(id: number, index: number, begin: number, length: number): WireFault | undefined {
    if (id === MESSAGE.reject) {
      this.#contextSink?.onRejected(index, begin)
      return undefined
    }
    const upload = this.#contextUpload
    if (upload === undefined) return undefined
    if (id === MESSAGE.cancel) {
      upload.cancel(index, begin)
      return undefined
    }
    const fault = upload.request(index, begin, length)
    if (fault === undefined) this.server.kick()
    return fault
  }

  onExtended(id: number, payload: Uint8Array): WireFault | undefined {
    switch (id) {
      case EXTENDED.handshake:
        return isChannelHandshake(payload) ? undefined : malformed("handshake")
      case EXTENDED.open:
        return this.#onOpen(payload)
      case EXTENDED.opened:
        return this.#onOpened(payload)
      case EXTENDED.refused:
        return this.#onRefused(payload)
      case EXTENDED.close:
        return this.#onClose(payload)
      case EXTENDED.context:
        return this.#onContext(payload)
      case EXTENDED.pieceList:
        this.#contextSink?.onBatch(payload)
        return undefined
      case EXTENDED.dontHave: {
        const index = parseNumber(payload)
        return index === undefined ? malformed("lt_donthave") : this.#contextSink?.onLost(index)
      }
      default:
        return undefined
    }
  }

  onBlock(index: number, begin: number, length: number): Uint8Array | undefined | typeof WAIT {
    this.#blockSink = this.#contextSink
    return this.#blockSink?.onBlock(index, begin, length)
  }

  onBlockEnd(): WireFault | undefined {
    const fault = this.#blockSink?.onBlockEnd()
    this.#blockSink = undefined
    return fault
  }

  onClosed(fault: WireFault | undefined): void {
    this.server.close()
    const [sinks, uploads] = [[...this.#sinks.values()], [...this.#uploads.values()]]
    this.#sinks.clear()
    this.#uploads.clear()
    this.#contextChanged()
    for (const sink of sinks) sink.onClosed("closed")
    for (const upload of uploads) this.#owner.onUploadClosed(this, upload)
    this.#owner.onClosed(this, fault)
  }

  #onOpen(payload: Uint8Array): WireFault | undefined {
    const open = parseOpen(payload)
    if (open === undefined) return malformed("sl_open")
    if (open.torrent % 2 === this.#ourParity || open.torrent <= this.#theirNumber) {
      return { code: "INDEX_INVALID", message: `torrent number ${open.torrent}` }
    }
    if (this.#uploads.size >= TORRENTS_OPEN_MAX) {
      return { code: "LIMIT_EXCEEDED", message: `more than ${TORRENTS_OPEN_MAX} torrents` }
    }
    this.#theirNumber = open.torrent
    this.#owner.onOpen(this, open)
    return undefined
  }

  #onOpened(payload: Uint8Array): WireFault | undefined {
    const opened = parseOpened(payload)
    if (opened === undefined) return malformed("sl_opened")
    this.#sinks.get(opened.torrent)?.onOpened(opened)
    return undefined
  }

  #onRefused(payload: Uint8Array): WireFault | undefined {
    const torrent = parseNumber(payload)
    if (torrent === undefined) return malformed("sl_refused")
    const sink = this.#sinks.get(torrent)
    this.#sinks.delete(torrent)
    this.#contextChanged()
    sink?.onClosed("refused")
    return undefined
  }

  #onClose(payload: Uint8Array): WireFault | undefined {
    const torrent = parseNumber(payload)
    if (torrent === undefined) return malformed("sl_close")
    this.#dropUpload(torrent)
    return undefined
  }

  #onContext(payload: Uint8Array): WireFault | undefined {
    const torrent = parseNumber(payload)
    if (torrent === undefined) return malformed("sl_context")
    this.#context = torrent
    this.#contextChanged()
    return undefined
  }

  #contextChanged(): void {
    this.#contextSink = this.#sinks.get(this.#context)
    this.#contextUpload = this.#uploads.get(this.#context)
  }

  #dropUpload(torrent: number): void {
    const upload = this.#uploads.get(torrent)
    if (upload === undefined) return
    this.#uploads.delete(torrent)
    this.server.remove(upload)
    this.#contextChanged()
    this.#owner.onUploadClosed(this, upload)
  }
}

/** One torrent that this node fetches over a session. */
class SessionLink implements BlockLink {
  readonly #session: ChannelSession
  readonly #torrent: number

  constructor(session: ChannelSession, torrent: number) {
    this.#session = session
    this.#torrent = torrent
  }

  get peer(): PeerId {
    return this.#session.peer
  }

  get pace(): LinkPace {
    return this.#session.pace
  }

  get traffic(): LinkTraffic | undefined {
    return this.#session.traffic
  }

  request(index: number, begin: number, length: number): void {
    this.#session.writer.blockMessage(this.#torrent, MESSAGE.request, index, begin, length)
  }

  cancel(index: number, begin: number, length: number): void {
    this.#session.writer.blockMessage(this.#torrent, MESSAGE.cancel, index, begin, length)
  }

  interest(isInterested: boolean): void {
    const signal = isInterested ? MESSAGE.interested : MESSAGE.notInterested
    this.#session.writer.signal(this.#torrent, signal)
  }

  have(index: number): void {
    this.#session.writer.have(this.#torrent, index)
  }

  resume(): void {
    this.#session.resume()
  }

  discardBlock(): void {
    this.#session.discardBlock(this.#torrent)
  }

  close(): void {
    this.#session.closeTorrent(this.#torrent)
  }

  fail(fault: WireFault): void {
    this.#session.close(fault)
  }
}

function malformed(name: string): WireFault {
  return { code: "EXTENSION_INVALID", message: `${name} cannot be read` }
}
