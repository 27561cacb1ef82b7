/**
 * Gives blobs to whoever may have them: complete ones and growing ones, told piece by piece as they
 * are verified and borne out by a signed list.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Counter } from "../core/metrics.ts"
import { type ByteRange, pieceRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobChange, BlobStore, PartialBlob } from "../store/store.ts"
import { encodeBatch } from "./live-list.ts"
import type { PieceLists } from "./piece-lists.ts"
import { isPlainPeer } from "./plain-peer.ts"
import { Scattering } from "./scattering.ts"
import type { ChannelSession } from "./session.ts"
import { SuperSeeding } from "./super-seeding.ts"
import { Upload } from "./upload.ts"
import type { UploadEvents, UploadServer } from "./upload-server.ts"
import { UploadSlots } from "./upload-slots.ts"
import type { Open } from "./wire-extension.ts"
import type { WireWriter } from "./wire-writer.ts"

/** Of a piece that fewer peers have, others are told at once. */
const COPIES_URGENT_MAX = 3
/** How often it is looked whether all that is served is still allowed. */
const LOOK_MS = 1_000

/** The connection of an upload. */
export interface UploadHost {
  readonly peer: PeerId
  readonly writer: WireWriter
  readonly server: UploadServer
  answer(upload: Upload): void
  refuse(torrent: number): void
  sendBatch(upload: Upload, payload: Uint8Array): void
  sendLost(upload: Upload, index: number): void
}

/** One upload, and what it holds. */
interface Served {
  readonly session: UploadHost
  /** Whether to serve at all is decided anew now and then. */
  readonly isAllowed: () => boolean
  readonly upload: Upload
  readonly digest: Digest
  /** The growing blob, which knows the digests of its pieces; its own lease. */
  partial: PartialBlob | undefined
  isClosed: boolean
}

export interface ServingDeps {
  readonly store: BlobStore
  readonly clock: Clock
  readonly log: Logger
  readonly lists: PieceLists
  readonly mayFetch: (peer: PeerId, digest: Digest) => boolean
  readonly uploaded: Counter
  /** How many peers are known to have a piece of a growing blob. */
  readonly copiesOf: (digest: Digest, index: number) => number
  /** Where this node begins when it hands out a whole blob; other seeds of it begin elsewhere. */
  readonly firstPieceOf: (digest: Digest, count: number) => number
  /** A peer asked for what it does not get: it may believe that it is here. */
  onRefused(digest: Digest): void
}

export class Serving implements UploadEvents {
  uploadedBytes = 0
  readonly #deps: ServingDeps
  readonly #memberSlots: UploadSlots
  /** Turns of their own, so that strangers never take one from a member. */
  readonly #publicSlots: UploadSlots
  readonly #served = new Map<Upload, Served>()
  readonly #byDigest = new Map<Digest, Set<Served>>()
  readonly #superSeeding = new Map<Digest, SuperSeeding>()
  readonly #scattering = new Map<Digest, Scattering>()
  #lookedMs = 0
  #isStopping = false

  /** @param options.slots - connections that are served at once; found by trial unless given */
  constructor(deps: ServingDeps, options: { slots?: number | undefined } = {}) {
    this.#deps = deps
    this.#memberSlots = new UploadSlots(deps, options)
    this.#publicSlots = new UploadSlots(deps, options)
  }

  get isBusy(): boolean {
    for (const { upload, session } of this.#served.values()) {
      if (upload.isServable || session.writer.blockPendingBytes > 0) return true
    }
    return false
  }

  onOpen(session: ChannelSession, open: Open): void {
    const { digest, torrent } = open
    const isAllowed = () => this.#deps.mayFetch(session.peer, digest)
    const served = this.#begin(session, { digest, torrent, isAllowed, hasReject: true })
    if (served === undefined) {
      session.refuse(torrent)
      this.#deps.onRefused(digest)
      return
    }
    const { upload } = served
    upload.beginChoked(!this.#memberSlots.add(session, upload))
    session.accept(upload)
    const { reader } = upload
    if (reader.isComplete && reader.layout.count <= 1) this.#answerWhole(served)
    else void this.#prepare(served)
  }

  /** Begins to serve a standard client; it is choked until it says that it is interested. */
  servePlain(
    session: UploadHost & { readonly hasFast: boolean },
    digest: Digest,
    isAllowed: () => boolean,
  ): Upload | undefined {
    const stat = this.#deps.store.stat(digest)
    if (stat?.isComplete !== true) return undefined
    const wish = { digest, torrent: 0, isAllowed, hasReject: session.hasFast }
    const served = this.#begin(session, wish)
    if (served === undefined) return undefined
    served.upload.beginChoked(true)
    served.upload.isInterested = false
    this.#publicSlots.add(session, served.upload)
    session.server.add(served.upload)
    this.#answerWhole(served)
    return served.upload
  }

  onInterested(session: UploadHost, upload: Upload, isInterested: boolean): void {
    if (upload.isInterested === isInterested) return
    upload.isInterested = isInterested
    this.#slotsOf(session).onInterest(session)
  }

  onHave(session: UploadHost, upload: Upload, index: number): void {
    upload.onHave(index)
    this.#slotsOf(session).onHave(session)
    const digest = this.#served.get(upload)?.digest
    if (digest !== undefined && this.#scattering.get(digest)?.release(index) === true) {
      this.#announceAll(digest, [index])
    }
  }

  #begin(
    session: UploadHost,
    wish: { digest: Digest; torrent: number; isAllowed: () => boolean; hasReject: boolean },
  ): Served | undefined {
    const { digest, torrent, isAllowed, hasReject } = wish
    if (this.#isStopping || !isAllowed()) return undefined
    const reader = this.#deps.store.open(digest)
    if (reader === undefined) return undefined
    const { peer, writer } = session
    const served: Served = {
      session,
      isAllowed,
      upload: new Upload({ peer, torrent, reader, writer, hasReject }),
      digest,
      partial: undefined,
      isClosed: false,
    }
    this.#served.set(served.upload, served)
    this.#byDigest.set(digest, (this.#byDigest.get(digest) ?? new Set()).add(served))
    return served
  }

  onUploadClosed(session: UploadHost, upload: Upload): void {
    const served = this.#served.get(upload)
    if (served === undefined) return
    this.#slotsOf(session).remove(session, upload)
    served.isClosed = true
    this.#served.delete(upload)
    const others = this.#byDigest.get(served.digest)
    others?.delete(served)
    upload.leaveSuperSeeding()
    if (others?.size === 0) {
      this.#byDigest.delete(served.digest)
      this.#superSeeding.delete(served.digest)
      this.#scattering.delete(served.digest)
    } else
      this.#announceAll(served.digest, this.#scattering.get(served.digest)?.leave(upload) ?? [])
    upload.reader.release()
    served.partial?.release()
  }

  onStoreChange(change: BlobChange): void {
    // What many have already is told with the next look: a swarm that tells everybody of everything at
    // once spends more on that than on the pieces.
    if (change.kind === "piece") {
      if (this.#deps.copiesOf(change.digest, change.index) >= COPIES_URGENT_MAX) return
    }
    for (const served of [...(this.#byDigest.get(change.digest) ?? [])]) {
      if (change.kind === "piece") {
        this.#announce(served, { start: change.index, end: change.index + 1 })
      } else if (change.kind === "complete") void this.#prepare(served)
      else if (change.kind === "partial") this.#tellLost(served)
      else served.session.refuse(served.upload.torrent)
    }
  }

  onListGrown(digest: Digest, pieces: ByteRange): void {
    this.#scatter(digest, pieces)
    for (const served of this.#byDigest.get(digest) ?? []) this.#announce(served, pieces)
  }

  onSent(upload: Upload, blockBytes: number): void {
    this.uploadedBytes += blockBytes
    this.#deps.uploaded.add(blockBytes)
    const served = this.#served.get(upload)
    if (served !== undefined) this.#slotsOf(served.session).onSent(served.session, blockBytes)
  }

  onUnreadable(upload: Upload, code: string | undefined): void {
    const served = this.#served.get(upload)
    if (served === undefined) return
    this.#deps.log.warn({ digest: served.digest, code }, "a blob that was served cannot be read")
    this.#tellLost(served)
  }

  tick(nowMs: number): void {
    this.#memberSlots.tick(nowMs)
    this.#publicSlots.tick(nowMs)
    for (const [digest, scattering] of this.#scattering) {
      this.#announceAll(digest, scattering.overdue(nowMs))
    }
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    this.recheck()
    for (const served of this.#served.values()) {
      if (served.partial !== undefined) this.#announce(served, this.#allOf(served))
    }
  }

  /** A newer decision on who may fetch, one blob or all, ends what was open under the older one. */
  recheck(digest?: Digest): void {
    const served = digest === undefined ? this.#served.values() : this.#byDigest.get(digest)
    for (const { isAllowed, session, upload } of [...(served ?? [])]) {
      if (!isAllowed()) session.refuse(upload.torrent)
    }
  }

  #slotsOf(session: UploadHost): UploadSlots {
    return isPlainPeer(session.peer) ? this.#publicSlots : this.#memberSlots
  }

  /** Takes no new uploads. */
  stop(): void {
    this.#isStopping = true
  }

  /** Finds out what may be told, answers the open, or tells what is new since the answer. */
  async #prepare(served: Served): Promise<void> {
    const { upload, digest, session } = served
    try {
      if (upload.reader.isComplete) await this.#prepareWhole(served)
      else await this.#preparePartial(served)
    } catch (error) {
      if (codeOf(error) === "BLOB_COMPLETE") return this.#prepare(served)
      this.#deps.log.warn({ digest, error: messageOf(error) }, "a blob cannot be served")
      if (!served.isClosed) session.refuse(upload.torrent)
    }
  }

  async #prepareWhole(served: Served): Promise<void> {
    const { upload, digest, session } = served
    const { layout } = upload.reader
    const hashes = this.#deps.store.pieceList(digest)
    if (hashes === undefined) throw new TypeError(`no piece list of complete ${digest}`)
    if (layout.count > 1) {
      const batches = await this.#deps.lists.whole(digest, layout, hashes)
      if (served.isClosed) return
      for (const batch of batches) session.sendBatch(upload, encodeBatch(batch))
    }
    this.#answerWhole(served)
  }

  #answerWhole(served: Served): void {
    const { upload, session } = served
    this.#superSeed(served)
    const wasReady = upload.isReady
    const { count } = upload.reader.layout
    for (let index = 0; index < count; index++) {
      if (upload.announced.add(index) && wasReady) session.writer.have(upload.torrent, index)
    }
    served.partial?.release()
    served.partial = undefined
    if (!wasReady) session.answer(upload)
  }

  /** A whole blob that several fetch is handed out piece by piece. */
  #superSeed({ digest, upload }: Served): void {
    const { count } = upload.reader.layout
    if (count <= 1 || !upload.reader.isComplete) return
    let seeding = this.#superSeeding.get(digest)
    if (seeding === undefined) {
      seeding = new SuperSeeding(count, this.#deps.firstPieceOf(digest, count))
      for (let index = 0; index < count; index++) {
        if (this.#deps.copiesOf(digest, index) > 0) seeding.onGiven(index)
      }
      this.#superSeeding.set(digest, seeding)
    }
    if (upload.superSeeding === seeding) return
    upload.superSeeding = seeding
    seeding.add(upload)
  }

  async #preparePartial(served: Served): Promise<void> {
    const { upload, digest, session } = served
    const { layout } = upload.reader
    const { store, lists } = this.#deps
    await lists.loaded(digest, layout)
    const partial = await store.openPartial(digest, layout.sizeBytes)
    if (served.isClosed || served.partial !== undefined) {
      partial.release()
      return
    }
    served.partial = partial
    this.#announce(served, this.#allOf(served))
    session.answer(upload)
  }

  /** Of what nobody else has one peer is told first. */
  #scatter(digest: Digest, pieces: ByteRange): void {
    const all = [...(this.#byDigest.get(digest) ?? [])]
    const growing = all.filter(({ partial, upload }) => partial !== undefined && upload.isReady)
    const idle = growing.filter(({ upload }) => upload.isInterested && !upload.isChoked)
    if (idle.length < 2) return
    const scattering = this.#scattering.get(digest) ?? new Scattering()
    this.#scattering.set(digest, scattering)
    const nowMs = this.#deps.clock.monotonicMs()
    for (let index = pieces.start; index < pieces.end; index++) {
      const isTold = growing.some(({ upload }) => upload.announced.has(index))
      const isSole = this.#deps.copiesOf(digest, index) === 0
      if (isTold || !isSole || idle[0]!.partial?.pieces.has(index) !== true) continue
      scattering.give(
        index,
        idle.map(({ upload }) => upload),
        nowMs,
      )
    }
  }

  #announceAll(digest: Digest, indexes: readonly number[]): void {
    for (const served of indexes.length === 0 ? [] : (this.#byDigest.get(digest) ?? [])) {
      for (const index of indexes) this.#announce(served, { start: index, end: index + 1 })
    }
  }

  /** Tells pieces of a growing blob that are here and borne out by the list. */
  #announce(served: Served, pieces: ByteRange): void {
    const { upload, digest, session, partial } = served
    const list = this.#deps.lists.get(digest)
    if (partial === undefined || list === undefined) return
    const scattering = this.#scattering.get(digest)
    const { announced } = upload
    const next = (from: number) => partial.pieces.nextBeyond(announced, from)
    for (let index = next(pieces.start); index < pieces.end; index = next(index + 1)) {
      if (scattering?.mayTell(index, upload) === false) continue
      const hash = partial.pieceSha256(index)
      if (hash === undefined || !list.covers(index, hash)) continue
      const batch = list.batchFor(index)
      if (batch !== undefined && !upload.sentBatches.has(batch)) {
        upload.sentBatches.add(batch)
        session.sendBatch(upload, encodeBatch(batch))
      }
      announced.add(index)
      if (upload.isReady) session.writer.have(upload.torrent, index)
    }
  }

  #tellLost(served: Served): void {
    const { upload, session } = served
    const { layout } = upload.reader
    for (let index = 0; index < layout.count; index++) {
      if (!upload.announced.has(index)) continue
      if (upload.reader.hasRange(pieceRange(layout, index))) continue
      session.sendLost(upload, index)
      upload.lose(index)
    }
    // A blob that was complete grows again: its pieces are told by the live list from now on.
    if (!upload.reader.isComplete && served.partial === undefined && upload.isReady) {
      void this.#regrow(served)
    }
  }

  async #regrow(served: Served): Promise<void> {
    const { upload, digest } = served
    try {
      const partial = await this.#deps.store.openPartial(digest, upload.reader.layout.sizeBytes)
      if (served.isClosed || served.partial !== undefined) partial.release()
      else served.partial = partial
    } catch (error) {
      // It is complete again already, or cannot grow: then what was told stays true.
      this.#deps.log.debug({ digest, error: messageOf(error) }, "a blob does not grow again")
    }
  }

  #allOf(served: Served): ByteRange {
    return { start: 0, end: served.upload.reader.layout.count }
  }
}
