/**
 * The blob of one flight as it grows: its size, its pieces, its torrent, its proof.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { type PieceLayout, pieceLayout } from "../core/piece.ts"
import type { PartialBlob } from "../store/store.ts"
import type { Torrent } from "../swarm/swarm.ts"
import { segmentPieces } from "./election.ts"
import type { DeliveryDeps } from "./limit.ts"
import { SizeBook } from "./size-book.ts"

/** What a growing blob tells its flight. */
export interface GrowthEvents {
  /** Something is to be decided anew. */
  wake(): void
  received(bytes: number): void
}

/** One growing blob; opened, proved, and given up with its flight. */
export class Growth {
  readonly sizes: SizeBook = new SizeBook()
  /** True for content whose origin took credentials: it is announced to nobody. */
  isPrivate: boolean
  isOpening = false
  readonly #deps: DeliveryDeps
  readonly #digest: Digest
  readonly #events: GrowthEvents
  #blob: PartialBlob | undefined
  #torrent: Torrent | undefined
  #unlisten: () => void = () => {}
  #meteredBytes = 0
  #pastBytes = 0

  constructor(deps: DeliveryDeps, digest: Digest, events: GrowthEvents) {
    this.#deps = deps
    this.#digest = digest
    this.#events = events
    const stat = deps.store.stat(digest)
    if (stat !== undefined) this.sizes.add(stat.layout.sizeBytes, "local")
    this.isPrivate = stat?.isShared === false
  }

  get blob(): PartialBlob | undefined {
    return this.#blob
  }

  get torrent(): Torrent | undefined {
    return this.#torrent
  }

  /** The size to go by; undefined while nobody told one. */
  get sizeBytes(): number | undefined {
    return this.#blob?.layout.sizeBytes ?? this.sizes.best()?.sizeBytes
  }

  get layout(): PieceLayout | undefined {
    const { sizeBytes } = this
    return this.#blob?.layout ?? (sizeBytes === undefined ? undefined : pieceLayout(sizeBytes))
  }

  /** Bytes of verified pieces from peers, those of torrents that were left included. */
  get fromPeersBytes(): number {
    return this.#pastBytes + (this.#torrent?.receivedBytes ?? 0)
  }

  get haveBytes(): number {
    const blob = this.#blob
    if (blob === undefined || blob.layout.count === 0) return 0
    const { count, lengthBytes, sizeBytes } = blob.layout
    const shortBytes = blob.pieces.has(count - 1) ? count * lengthBytes - sizeBytes : 0
    return blob.pieces.count * lengthBytes - shortBytes
  }

  /** Counts the pieces of a segment that are missing; 1 while the size is unknown. */
  missingCount(segment: number, segmentBytes: number | undefined): number {
    const { layout } = this
    if (layout === undefined) return 1
    const pieces = segmentPieces(layout, segment, segmentBytes)
    let missing = 0
    for (let index = pieces.start; index < pieces.end; index++) {
      if (this.#blob?.pieces.has(index) !== true) missing++
    }
    return missing
  }

  /** Takes in what the connected holders say of the size. */
  hearSizes(): void {
    for (const { peer, sizeBytes } of this.#deps.swarm.holders(this.#digest)) {
      this.sizes.add(sizeBytes, "peer", peer)
    }
  }

  /**
   * Makes the blob, or goes on with what is here of it.
   * @returns whether it is open now; not so while a reader holds on to a size that was given up, and
   * when it became complete meanwhile
   * @throws StoreError
   */
  async open(sizeBytes: number): Promise<boolean> {
    this.isOpening = true
    try {
      if (!(await this.#makeRoom(sizeBytes))) return false
      const options = this.isPrivate ? { isShared: false } : {}
      this.#blob = await this.#deps.store.openPartial(this.#digest, sizeBytes, options)
      return true
    } catch (error) {
      if (codeOf(error) === "BLOB_COMPLETE") return false
      throw error
    } finally {
      this.isOpening = false
    }
  }

  joinSwarm(): void {
    if (this.#blob === undefined || this.#torrent !== undefined) return
    const torrent = this.#deps.swarm.join(this.#blob)
    this.#torrent = torrent
    this.#unlisten = torrent.onUseful(() => this.#events.wake())
  }

  leaveSwarm(): void {
    const torrent = this.#torrent
    if (torrent === undefined) return
    this.#pastBytes += torrent.receivedBytes
    this.#torrent = undefined
    this.#unlisten()
    torrent.close()
    this.meter()
  }

  /** Credentials were used for it: the content stays here. */
  async turnPrivate(): Promise<void> {
    this.isPrivate = true
    this.leaveSwarm()
    const { store } = this.#deps
    if (store.stat(this.#digest)?.isShared === true) await store.share(this.#digest, false)
  }

  /** Gives up a size that proved wrong, and all that was believed with it. */
  discard(sizeBytes: number): void {
    this.sizes.reject(sizeBytes)
    this.close()
  }

  close(): void {
    this.leaveSwarm()
    this.#blob?.release()
    this.#blob = undefined
  }

  meter(): void {
    const bytes = this.fromPeersBytes
    this.#events.received(bytes - this.#meteredBytes)
    this.#meteredBytes = bytes
  }

  /** A blob that is here with another size, which nobody believes any more, makes room. */
  async #makeRoom(sizeBytes: number): Promise<boolean> {
    const known = this.#deps.store.stat(this.#digest)
    if (known === undefined || known.isComplete || known.layout.sizeBytes === sizeBytes) return true
    try {
      await this.#deps.store.remove(this.#digest)
      return true
    } catch (error) {
      // A reader of the old size is about to let go; the next look tries again.
      if (codeOf(error) === "BLOB_IN_USE") return false
      throw error
    }
  }
}
