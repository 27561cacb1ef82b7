/**
 * The wire with one standard BitTorrent client over a plain socket: one torrent, by its info-hash,
 * given and taken (BEP 3, 6, 9, 10, 54). For public blobs only; nobody is authenticated here.
 * @module
 */
import { Bitfield, isBitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import { dictionaryOf, encodeBencode, parseBencode } from "./bencode.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import { LinkPace } from "./link-pace.ts"
import type { Metainfo } from "./metainfo.ts"
import {
  INFO_BYTES_MAX,
  METADATA_BYTES,
  METADATA_PIECE,
  METADATA_REJECT,
  METADATA_REQUEST,
  MetadataFetch,
  type MetadataMessage,
  parseMetadataMessage,
} from "./public/metadata-fetch.ts"
import type { UploadHost } from "./serving.ts"
import type { LinkTraffic, Shaping } from "./shaping.ts"
import type { Upload } from "./upload.ts"
import { type BatchBuffers, type UploadEvents, UploadServer } from "./upload-server.ts"
import { parseNumber, REQUESTS_QUEUED_MAX } from "./wire-extension.ts"
import { EXTENDED, encodeHandshake, type Handshake, MESSAGE } from "./wire-messages.ts"
import type { WAIT } from "./wire-parser.ts"
import { type WireOwner, WireSocket, type WireStream } from "./wire-socket.ts"
import type { WireWriter } from "./wire-writer.ts"

/** The only torrent of the connection. */
const TORRENT = 0
/** Pieces that a client may tell of before this node knows how many there are. */
const EARLY_HAVES_MAX = 1024
/** Heads of metadata messages, and what else is on its way to a client that is about to read. */
const METADATA_PENDING_BYTES = 256 * 1024

/** A torrent that a connection is for; its metainfo may have to be asked for first (BEP 9). */
export interface PlainTorrent {
  readonly infoHash: Uint8Array
  readonly metainfo: Metainfo | undefined
}

/** What a plain session needs of whoever holds the blobs. */
export interface PlainOwner {
  /** Gives the torrent of an info-hash that standard clients may have; undefined ends the session. */
  find(infoHash: Uint8Array): Metainfo | undefined
  /** The other side gave the info dictionary of the torrent; its SHA-1 is right. */
  onInfo(session: PlainSession, infoBytes: Uint8Array): void
  /** Other clients of this torrent that the other side knows (BEP 11), still encoded. */
  onExchange(session: PlainSession, payload: Uint8Array): void
  /** Begins to serve, if the blob is complete: answers through {@link UploadHost.answer}. */
  serve(session: PlainSession): Upload | undefined
  /** Gives who takes the blocks, if the blob is wanted here. */
  attach(session: PlainSession, link: BlockLink): BlockSink | undefined
  onInterested(session: PlainSession, upload: Upload, isInterested: boolean): void
  /** The other side has told what it has, for the first time. */
  onKnown(session: PlainSession): void
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
  /** Port on which clients reach this node; undefined while none is open. */
  readonly listenPort: () => number | undefined
}

/** One connection with a standard client. */
export class PlainSession implements WireOwner, UploadHost, BlockLink {
  readonly peer: PeerId
  readonly server: UploadServer
  readonly pace: LinkPace
  readonly traffic: LinkTraffic | undefined
  readonly #socket: WireSocket
  readonly #deps: PlainDeps
  /** What this node asked for; undefined when the client opened the connection. */
  readonly #wanted: PlainTorrent | undefined
  #metainfo: Metainfo | undefined
  #upload: Upload | undefined
  #sink: BlockSink | undefined
  #metadata: MetadataFetch | undefined
  /** What the other side has; undefined before it told. */
  #pieces: Bitfield | undefined
  /** What it told before the number of pieces was known. */
  #early: { base: "all" | "none" | Uint8Array; readonly haves: Set<number> } | undefined
  #isChokedThere = true
  #hasFast = false
  #hasToldShort = false
  #isGreeted = false
  #isActive = true
  /** Ids that the other side gave to extensions; 0: it does not know them. */
  #dontHaveId = 0
  #metadataId = 0
  #exchangeId = 0
  #theirPort: number | undefined

  /**
   * @param options.peer - a name for the other side, such as its address; it proves nothing
   * @param options.torrent - what to ask for; undefined when the client is to say it
   */
  constructor(
    stream: WireStream,
    deps: PlainDeps,
    options: { peer: PeerId; torrent?: PlainTorrent | undefined },
  ) {
    this.peer = options.peer
    this.pace = new LinkPace(deps.clock.monotonicMs())
    this.#deps = deps
    this.#wanted = options.torrent
    this.#metainfo = options.torrent?.metainfo
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
    if (this.#wanted !== undefined) this.#sendHandshake(this.#wanted.infoHash)
    this.#socket.start()
  }

  get writer(): WireWriter {
    return this.#socket.writer
  }

  /** Undefined as long as it is not known. */
  get metainfo(): Metainfo | undefined {
    return this.#metainfo
  }

  /** What this node asked for, when it opened the connection. */
  get wanted(): PlainTorrent | undefined {
    return this.#wanted
  }

  /** Whether the other side has shaken hands. */
  get isGreeted(): boolean {
    return this.#isGreeted
  }

  /** Whether the other side may fetch. */
  get isServed(): boolean {
    return this.#upload !== undefined
  }

  /** What the other side has; undefined before it told. Read it, never change it. */
  get pieces(): Bitfield | undefined {
    return this.#pieces
  }

  /** Port on which the other side says that it listens (BEP 10, `p`). */
  get theirPort(): number | undefined {
    return this.#theirPort
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

  /** The torrent is known now, from whomever. */
  learn(metainfo: Metainfo): void {
    if (this.#metainfo !== undefined || this.isClosed) return
    this.#metainfo = metainfo
    this.#metadata = undefined
    const early = this.#early
    if (early === undefined) return
    this.#early = undefined
    const fault = this.#replay(early.base, early.haves)
    if (fault !== undefined) this.close(fault)
  }

  /** Begins to fetch, if the blob is wanted here now and the other side has told what it has. */
  attach(): void {
    const { metainfo } = this
    if (this.#sink !== undefined || this.#pieces === undefined || metainfo === undefined) return
    if (this.isClosed) return
    this.#sink = this.#deps.owner.attach(this, this)
    if (this.#sink === undefined) return
    this.writer.signal(TORRENT, MESSAGE.interested)
    this.#tellPieces(metainfo)
  }

  /** Tells of other clients (BEP 11), if the other side understands it. */
  exchange(payload: Uint8Array): void {
    if (this.#exchangeId !== 0 && !this.isClosed) this.writer.extended(this.#exchangeId, payload)
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
    const found = this.#wanted === undefined ? this.#deps.owner.find(handshake.infoHash) : undefined
    const torrent = this.#wanted ?? found
    // Unknown, private and not here are one answer: a closed connection.
    if (torrent === undefined || Buffer.compare(torrent.infoHash, handshake.infoHash) !== 0) {
      return { code: "HANDSHAKE_INVALID", message: "an info-hash that is not shared here" }
    }
    if (Buffer.compare(handshake.peerId, this.#deps.wirePeerId) === 0) {
      return { code: "HANDSHAKE_INVALID", message: "this node itself" }
    }
    this.#isGreeted = true
    this.#hasFast = handshake.hasFast
    if (this.#wanted === undefined) {
      this.#metainfo = found
      this.#sendHandshake(torrent.infoHash)
    } else if (this.#metainfo === undefined && !handshake.hasExtended) {
      return { code: "HANDSHAKE_INVALID", message: "it cannot give the metadata" }
    }
    this.#upload = this.#deps.owner.serve(this)
    this.#sendPieces()
    if (handshake.hasExtended) this.#sendExtendedHandshake()
    return undefined
  }

  onSignal(id: number): WireFault | undefined {
    if (id === MESSAGE.choke || id === MESSAGE.unchoke) this.#onChoked(id === MESSAGE.choke)
    else if (id === MESSAGE.haveAll || id === MESSAGE.haveNone) {
      return this.#onAllOrNone(id === MESSAGE.haveAll ? "all" : "none")
    } else if (this.#upload !== undefined) {
      this.#deps.owner.onInterested(this, this.#upload, id === MESSAGE.interested)
    }
    return undefined
  }

  onHave(index: number): WireFault | undefined {
    const { metainfo } = this
    if (metainfo === undefined) {
      this.#early ??= { base: "none", haves: new Set() }
      if (this.#early.haves.size >= EARLY_HAVES_MAX) {
        return { code: "LIMIT_EXCEEDED", message: "too many pieces before the metadata" }
      }
      this.#early.haves.add(index)
      return undefined
    }
    if (index >= metainfo.layout.count) return { code: "INDEX_INVALID", message: `have ${index}` }
    if (this.#pieces === undefined) this.#onPieces("none")
    this.#pieces?.add(index)
    if (this.#upload !== undefined) this.#deps.owner.onHave(this, this.#upload, index)
    return this.#sink?.onHave(index)
  }

  /** A hint that a standard client may give; who fetches from one chooses for itself. */
  onSuggest(): undefined {}

  onBitfield(bytes: Uint8Array): WireFault | undefined {
    return this.#onPieces(bytes)
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
    if (id === EXTENDED.handshake) return this.#onExtendedHandshake(payload)
    if (id === EXTENDED.dontHave) {
      const index = parseNumber(payload)
      if (index === undefined || this.#pieces?.has(index) !== true) return undefined
      this.#pieces.delete(index)
      return this.#sink?.onLost(index)
    }
    if (id === EXTENDED.metadata) {
      const message = parseMetadataMessage(payload)
      if (message !== undefined) return this.#onMetadata(message)
    } else if (id === EXTENDED.exchange) this.#deps.owner.onExchange(this, payload)
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

  #sendHandshake(infoHash: Uint8Array): void {
    this.writer.raw(encodeHandshake(infoHash, this.#deps.wirePeerId))
  }

  /** BEP 3, BEP 6: what is here is the first message after the handshake. */
  #sendPieces(): void {
    const isSeed = this.#upload !== undefined
    if (this.#hasFast) this.writer.signal(TORRENT, isSeed ? MESSAGE.haveAll : MESSAGE.haveNone)
    else if (isSeed) {
      this.writer.bitfield(TORRENT, Bitfield.full(this.#metainfo!.layout.count).bytes)
    }
  }

  #sendExtendedHandshake(): void {
    const port = this.#deps.listenPort()
    const extensions = {
      lt_donthave: EXTENDED.dontHave,
      ut_metadata: EXTENDED.metadata,
      ut_pex: EXTENDED.exchange,
    }
    const handshake = dictionaryOf({
      m: dictionaryOf(extensions),
      // The dictionary goes to whom this node serves, and to nobody else.
      ...(this.#upload === undefined ? {} : { metadata_size: this.#metainfo!.infoBytes.length }),
      ...(port === undefined ? {} : { p: port }),
      reqq: REQUESTS_QUEUED_MAX,
      v: `Sealift ${this.#deps.version}`,
    })
    this.writer.extended(EXTENDED.handshake, encodeBencode(handshake))
  }

  #onExtendedHandshake(payload: Uint8Array): WireFault | undefined {
    const handshake = parseExtendedHandshake(payload)
    if (handshake === undefined) return { code: "EXTENSION_INVALID", message: "handshake" }
    this.#dontHaveId = handshake.dontHaveId
    this.#metadataId = handshake.metadataId
    this.#exchangeId = handshake.exchangeId
    this.#theirPort = handshake.port ?? this.#theirPort
    const { infoBytes } = handshake
    if (this.#metainfo !== undefined || this.#metadata !== undefined) return undefined
    // A client that has no metadata itself yet may get it later; others are asked meanwhile.
    if (this.#metadataId === 0 || infoBytes === undefined) return undefined
    this.#metadata = new MetadataFetch({
      infoHash: this.#wanted!.infoHash,
      sizeBytes: infoBytes,
      send: (request) => this.writer.extended(this.#metadataId, request),
    })
    return undefined
  }

  /** BEP 6: once. A message of five bytes takes as much work as the blob has pieces. */
  #onAllOrNone(told: "all" | "none"): WireFault | undefined {
    if (this.#hasToldShort) return { code: "LIMIT_EXCEEDED", message: "it says again what it has" }
    this.#hasToldShort = true
    return this.#onPieces(told)
  }

  /** What the other side has: its first word; a later one of this kind only adds. */
  #onPieces(told: "all" | "none" | Uint8Array): WireFault | undefined {
    const { metainfo } = this
    if (metainfo === undefined) {
      this.#early = { base: told, haves: this.#early?.haves ?? new Set() }
      return undefined
    }
    const { count } = metainfo.layout
    if (told instanceof Uint8Array && !isBitfield(count, told)) {
      return { code: "INDEX_INVALID", message: "bitfield" }
    }
    const pieces = told === "all" ? Bitfield.full(count) : new Bitfield(count, bytesOf(told))
    const isFirst = this.#pieces === undefined
    this.#pieces ??= new Bitfield(count)
    for (let index = 0; index < count; index++) if (pieces.has(index)) this.#pieces.add(index)
    if (isFirst) this.#deps.owner.onKnown(this)
    if (this.#sink === undefined) this.attach()
    else this.#tellPieces(metainfo)
    return undefined
  }

  #replay(base: "all" | "none" | Uint8Array, haves: ReadonlySet<number>): WireFault | undefined {
    let fault = this.#onPieces(base)
    for (const index of haves) fault ??= this.onHave(index)
    return fault
  }

  #tellPieces({ layout }: Metainfo): void {
    const isChoked = this.#isChokedThere
    this.#sink?.onOpened({ pieces: this.#pieces!.copy(), sizeBytes: layout.sizeBytes, isChoked })
  }

  #onChoked(isChoked: boolean): void {
    this.#isChokedThere = isChoked
    // Without BEP 6 a choke drops all requests without a word.
    if (isChoked && !this.#hasFast) this.#sink?.onDropped()
    this.#sink?.onChoked(isChoked)
  }

  #onMetadata(message: MetadataMessage): WireFault | undefined {
    if (message.kind === METADATA_REQUEST) return this.#answerMetadata(message.piece)
    const outcome = this.#metadata?.take(message)
    if (outcome === undefined) return undefined
    if (!(outcome instanceof Uint8Array)) return outcome
    this.#deps.owner.onInfo(this, outcome)
    return undefined
  }

  #answerMetadata(piece: number): WireFault | undefined {
    if (this.#metadataId === 0 || this.#upload === undefined) return undefined
    const { infoBytes } = this.#metainfo!
    // A request of 31 bytes is answered by 16 KiB; nobody needs more than all of it at once.
    if (this.writer.smallPendingBytes > infoBytes.length + METADATA_PENDING_BYTES) {
      return { code: "LIMIT_EXCEEDED", message: "it asks for metadata and reads none" }
    }
    const part = infoBytes.subarray(piece * METADATA_BYTES, (piece + 1) * METADATA_BYTES)
    const head =
      part.length === 0
        ? dictionaryOf({ msg_type: METADATA_REJECT, piece })
        : dictionaryOf({ msg_type: METADATA_PIECE, piece, total_size: infoBytes.length })
    this.writer.extended(this.#metadataId, Buffer.concat([encodeBencode(head), part]))
    return undefined
  }
}

function bytesOf(told: "none" | Uint8Array): Uint8Array | undefined {
  return told === "none" ? undefined : told
}

/** What of an extended handshake (BEP 10) is of use here; ids are 0 for what is not understood. */
interface ExtendedHandshake {
  readonly dontHaveId: number
  readonly metadataId: number
  readonly exchangeId: number
  readonly infoBytes: number | undefined
  readonly port: number | undefined
}

function parseExtendedHandshake(payload: Uint8Array): ExtendedHandshake | undefined {
  try {
    const handshake = parseBencode(payload)
    const names = handshake instanceof Map ? handshake.get("m") : undefined
    if (!(handshake instanceof Map) || !(names instanceof Map)) return undefined
    return {
      dontHaveId: numberIn(names.get("lt_donthave"), 255) ?? 0,
      metadataId: numberIn(names.get("ut_metadata"), 255) ?? 0,
      exchangeId: numberIn(names.get("ut_pex"), 255) ?? 0,
      infoBytes: numberIn(handshake.get("metadata_size"), INFO_BYTES_MAX),
      port: numberIn(handshake.get("p"), 65_535),
    }
  } catch {
    // A fault of the other side is a value here: the caller gives the connection up.
    return undefined
  }
}

/** Gives a number from 1 to a maximum; undefined for anything else. */
function numberIn(value: unknown, max: number): number | undefined {
  return typeof value === "number" && value > 0 && value <= max ? value : undefined
}
