/**
 * The wire with one standard BitTorrent client over a plain socket: one torrent, by its info-hash,
 * given and taken (BEP 3, 6, 9, 10, 54). For public blobs only; nobody is authenticated here.
 * @module
 */
import { Bitfield, isBitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import { dictionaryOf, encodeBencode, parseBencodePrefix } from "./bencode.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { LinkPace } from "./link-pace.ts"
import type { Metainfo } from "./metainfo.ts"
import type { UploadHost } from "./serving.ts"
import type { LinkTraffic, Shaping } from "./shaping.ts"
import type { Upload } from "./upload.ts"
import { type BatchBuffers, type UploadEvents, UploadServer } from "./upload-server.ts"
import { extensionNames, parseNumber, REQUESTS_QUEUED_MAX } from "./wire-extension.ts"
import { EXTENDED, encodeHandshake, type Handshake, MESSAGE } from "./wire-messages.ts"
import type { WAIT } from "./wire-parser.ts"
import { type WireOwner, WireSocket, type WireStream } from "./wire-socket.ts"
import type { WireWriter } from "./wire-writer.ts"

/** The only torrent of the connection. */
const TORRENT = 0
/** Length of a piece of metadata (BEP 9). */
const METADATA_BYTES = 16 * 1024
const METADATA_REQUEST = 0
const METADATA_PIECE = 1
const METADATA_REJECT = 2
/** Largest metadata message from outside; we ask for none, so only requests are read. */
const METADATA_MESSAGE_BYTES_MAX = 1024

/** What a plain session needs of whoever holds the blobs. */
export interface PlainOwner {
  /** Gives the torrent of an info-hash that standard clients may have; undefined ends the session. */
  find(infoHash: Uint8Array): Metainfo | undefined
  /** Begins to serve, if the blob is complete: answers through {@link UploadHost.answer}. */
  serve(session: PlainSession): Upload | undefined
  /** Gives who takes the blocks, if the blob is wanted here. */
  attach(session: PlainSession, link: BlockLink): BlockSink | undefined
  onInterested(session: PlainSession, upload: Upload, isInterested: boolean): void
  onHave(session: PlainSession, upload: Upload, index: number): void
  onUploadClosed(session: PlainSession, upload: Upload): void
  onClosed(session: PlainSession, fault: WireFault | undefined): void
}

export interface PlainDeps {
  readonly owner: PlainOwner
  readonly buffers: BatchBuffers
  readonly uploadEvents: UploadEvents
  readonly clock: Clock
  readonly shaping?: Shaping | undefined
  /** 20 bytes. */
  readonly wirePeerId: Uint8Array
  readonly version: string
}

/** One connection with a standard client. */
export class PlainSession implements WireOwner, UploadHost, BlockLink {
  readonly peer: PeerId
  readonly server: UploadServer
  readonly pace: LinkPace
  readonly traffic: LinkTraffic | undefined
  readonly #socket: WireSocket
  readonly #deps: PlainDeps
  #metainfo: Metainfo | undefined
  #upload: Upload | undefined
  #sink: BlockSink | undefined
  #hasFast = false
  #isOpened = false
  #isActive = true
  /** Ids that the other side gave to extensions; 0: it does not know them. */
  #dontHaveId = 0
  #metadataId = 0

  /**
   * @param options.peer - a name for the other side, such as its address; it proves nothing
   * @param options.metainfo - the torrent to ask for, when this node opened the connection
   */
  constructor(
    stream: WireStream,
    deps: PlainDeps,
    options: { peer: PeerId; metainfo?: Metainfo | undefined },
  ) {
    this.peer = options.peer
    this.pace = new LinkPace(deps.clock.monotonicMs())
    this.#deps = deps
    this.#metainfo = options.metainfo
    this.traffic = deps.shaping?.link(options.peer)
    const { traffic } = this
    this.#socket = new WireSocket(stream, this, { hasContexts: false, traffic })
    this.server = new UploadServer({
      writer: this.writer,
      buffers: deps.buffers,
      events: deps.uploadEvents,
      clock: deps.clock,
      traffic,
    })
    if (this.#metainfo !== undefined) this.#sendHandshake(this.#metainfo)
    this.#socket.start()
  }

  get writer(): WireWriter {
    return this.#socket.writer
  }

  get metainfo(): Metainfo {
    return this.#metainfo!
  }

  get hasFast(): boolean {
    return this.#hasFast
  }

  get isClosed(): boolean {
    return this.#socket.isClosed
  }

  /** Tells whether anything was asked or given since the last call. */
  takeActivity(): boolean {
    const wasActive = this.#isActive
    this.#isActive = false
    return wasActive
  }

  close(fault?: WireFault): void {
    this.#socket.close(fault)
  }

  // Of the serving side.

  answer(upload: Upload): void {
    upload.ready()
  }

  refuse(): void {
    this.close()
  }

  /** Standard clients know no piece lists. */
  sendBatch(): void {}

  sendLost(_upload: Upload, index: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(index)
    if (this.#dontHaveId !== 0) this.writer.extended(this.#dontHaveId, payload)
  }

  // Of the fetching side.

  request(index: number, begin: number, length: number): void {
    this.writer.blockMessage(TORRENT, MESSAGE.request, index, begin, length)
  }

  interest(isInterested: boolean): void {
    this.writer.signal(TORRENT, isInterested ? MESSAGE.interested : MESSAGE.notInterested)
  }

  have(index: number): void {
    this.writer.have(TORRENT, index)
  }

  cancel(index: number, begin: number, length: number): void {
    this.writer.blockMessage(TORRENT, MESSAGE.cancel, index, begin, length)
  }

  resume(): void {
    this.#socket.resume()
  }

  discardBlock(): void {
    this.#socket.discardBlock()
  }

  fail(fault: WireFault): void {
    this.close(fault)
  }

  // Of the wire.

  onHandshake(handshake: Handshake): WireFault | undefined {
    const isCaller = this.#metainfo !== undefined
    const metainfo = this.#metainfo ?? this.#deps.owner.find(handshake.infoHash)
    if (metainfo === undefined || Buffer.compare(metainfo.infoHash, handshake.infoHash) !== 0) {
      return { code: "HANDSHAKE_INVALID", message: "an info-hash that is not shared here" }
    }
    this.#metainfo = metainfo
    this.#hasFast = handshake.hasFast
    if (!isCaller) this.#sendHandshake(metainfo)
    this.#upload = this.#deps.owner.serve(this)
    this.#sendPieces(metainfo)
    if (handshake.hasExtended) this.#sendExtendedHandshake(metainfo)
    return undefined
  }

  onSignal(id: number): WireFault | undefined {
    const { count } = this.metainfo.layout
    if (id === MESSAGE.choke || id === MESSAGE.unchoke) this.#onChoked(id === MESSAGE.choke)
    else if (id === MESSAGE.haveAll) this.#onPieces(Bitfield.full(count))
    else if (id === MESSAGE.haveNone) this.#onPieces(new Bitfield(count))
    else if (this.#upload !== undefined) {
      this.#deps.owner.onInterested(this, this.#upload, id === MESSAGE.interested)
    }
    return undefined
  }

  onHave(index: number): WireFault | undefined {
    if (!this.#isOpened) this.#onPieces(new Bitfield(this.metainfo.layout.count))
    if (this.#upload !== undefined) this.#deps.owner.onHave(this, this.#upload, index)
    return this.#sink?.onHave(index)
  }

  onBitfield(bytes: Uint8Array): WireFault | undefined {
    const { count } = this.metainfo.layout
    if (!isBitfield(count, bytes)) return { code: "INDEX_INVALID", message: "bitfield" }
    this.#onPieces(new Bitfield(count, bytes))
    return undefined
  }

  onBlockMessage(id: number, index: number, begin: number, length: number): WireFault | undefined {
    this.#isActive = true
    if (id === MESSAGE.reject) {
      this.#sink?.onRejected(index, begin)
      return undefined
    }
    if (id === MESSAGE.cancel) {
      this.#upload?.cancel(index, begin)
      return undefined
    }
    const fault = this.#upload?.request(index, begin, length)
    if (fault === undefined) this.server.kick()
    return fault
  }

  onExtended(id: number, payload: Uint8Array): WireFault | undefined {
    if (id === EXTENDED.handshake) {
      const names = extensionNames(payload)
      if (names === undefined) return { code: "EXTENSION_INVALID", message: "handshake" }
      this.#dontHaveId = extensionId(names.get("lt_donthave"))
      this.#metadataId = extensionId(names.get("ut_metadata"))
    } else if (id === EXTENDED.dontHave) {
      const index = parseNumber(payload)
      if (index !== undefined) return this.#sink?.onLost(index)
    } else if (id === EXTENDED.metadata) this.#onMetadata(payload)
    return undefined
  }

  onBlock(index: number, begin: number, length: number): Uint8Array | undefined | typeof WAIT {
    this.#isActive = true
    return this.#sink?.onBlock(index, begin, length)
  }

  onBlockEnd(): WireFault | undefined {
    return this.#sink?.onBlockEnd()
  }

  onClosed(fault: WireFault | undefined): void {
    this.server.close()
    const [sink, upload] = [this.#sink, this.#upload]
    this.#sink = undefined
    this.#upload = undefined
    sink?.onClosed("closed")
    if (upload !== undefined) this.#deps.owner.onUploadClosed(this, upload)
    this.#deps.owner.onClosed(this, fault)
  }

  #sendHandshake(metainfo: Metainfo): void {
    this.writer.raw(encodeHandshake(metainfo.infoHash, this.#deps.wirePeerId))
  }

  /** BEP 3, BEP 6: what is here is the first message after the handshake. */
  #sendPieces(metainfo: Metainfo): void {
    const isSeed = this.#upload !== undefined
    if (this.#hasFast) this.writer.signal(TORRENT, isSeed ? MESSAGE.haveAll : MESSAGE.haveNone)
    else if (isSeed) this.writer.bitfield(TORRENT, Bitfield.full(metainfo.layout.count).bytes)
  }

  #sendExtendedHandshake(metainfo: Metainfo): void {
    const handshake = dictionaryOf({
      m: dictionaryOf({ lt_donthave: EXTENDED.dontHave, ut_metadata: EXTENDED.metadata }),
      metadata_size: metainfo.infoBytes.length,
      reqq: REQUESTS_QUEUED_MAX,
      v: `Sealift ${this.#deps.version}`,
    })
    this.writer.extended(EXTENDED.handshake, encodeBencode(handshake))
  }

  /** The first word on what the other side has; a later one of this kind only adds. */
  #onPieces(pieces: Bitfield): void {
    if (!this.#isOpened) {
      this.#isOpened = true
      this.#sink = this.#deps.owner.attach(this, this)
      if (this.#sink !== undefined) this.writer.signal(TORRENT, MESSAGE.interested)
    }
    const { sizeBytes } = this.metainfo.layout
    this.#sink?.onOpened({ pieces, sizeBytes, isChoked: true })
  }

  #onChoked(isChoked: boolean): void {
    // Without BEP 6 a choke drops all requests without a word.
    if (isChoked && !this.#hasFast) this.#sink?.onDropped()
    this.#sink?.onChoked(isChoked)
  }

  #onMetadata(payload: Uint8Array): void {
    const piece = metadataRequest(payload)
    if (piece === undefined || this.#metadataId === 0) return
    const { infoBytes } = this.metainfo
    const part = infoBytes.subarray(piece * METADATA_BYTES, (piece + 1) * METADATA_BYTES)
    const head =
      part.length === 0
        ? dictionaryOf({ msg_type: METADATA_REJECT, piece })
        : dictionaryOf({ msg_type: METADATA_PIECE, piece, total_size: infoBytes.length })
    this.writer.extended(this.#metadataId, Buffer.concat([encodeBencode(head), part]))
  }
}

/** Gives the piece that a `ut_metadata` message asks for; undefined for other messages. */
function metadataRequest(payload: Uint8Array): number | undefined {
  if (payload.length > METADATA_MESSAGE_BYTES_MAX) return undefined
  try {
    const { value } = parseBencodePrefix(payload)
    if (!(value instanceof Map) || value.get("msg_type") !== METADATA_REQUEST) return undefined
    const piece: unknown = value.get("piece")
    return typeof piece === "number" && piece >= 0 ? piece : undefined
  } catch {
    // BEP 9: what cannot be read is ignored.
    return undefined
  }
}

function extensionId(value: unknown): number {
  return typeof value === "number" && value > 0 && value < 256 ? value : 0
}
