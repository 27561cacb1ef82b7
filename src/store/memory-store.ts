/**
 * The in-memory twin of the blobs of one node ({@link BlobStore}), for tests and simulation.
 * @module
 */
import { randomUUID } from "node:crypto"
import type { Clock } from "../core/clock.ts"
import { type Digest, digestOf, sha256 } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import { pieceLayout } from "../core/piece.ts"
import { Changes } from "./changes.ts"
import {
  blobComplete,
  blobInUse,
  digestMismatch,
  sizeConflict,
  sizeExceeded,
  storeClosed,
  uploadOver,
} from "./faults.ts"
import type { Kv } from "./kv.ts"
import { MemoryBlob, MemoryPartial, MemoryReader } from "./memory-blob.ts"
import { createMemoryKv } from "./memory-kv.ts"
import { PieceBuffers } from "./piece-buffers.ts"
import { PinSet } from "./pin-set.ts"
import { type GoesLast, leastRecentlyUsed, makeRoom } from "./quota.ts"
import { partsOf } from "./source.ts"
import type {
  BlobChange,
  BlobReader,
  BlobStat,
  BlobStore,
  IsSpare,
  PartialBlob,
  Pin,
  StoreUsage,
  SweepReport,
  Upload,
  VerifyFinding,
} from "./store.ts"

/** Less than on disk: a simulation has many stores. */
const BUFFERS_BYTES_MAX = 16 * 1024 * 1024

/** The twin can also be damaged, as a disk is. */
export interface MemoryStore extends BlobStore {
  /** Flips a bit of a byte that is there; the next read of it finds out. */
  flipBit(digest: Digest, offset: number): void
  /** Forgets what a node forgets that is started anew: blobs of one piece that have had none. */
  restart(): void
}

/** How a store in memory is made. */
export interface MemoryStoreOptions {
  /** Without it there is no bound. */
  readonly quotaBytes?: number
  readonly buffersBytesMax?: number
  /** Stands in for the SHA-256 of pieces (32 bytes) where a simulation has no doubt of its content. */
  readonly sha256?: (bytes: Uint8Array) => Uint8Array
  /** Gives what is kept of a piece, a copy unless told: stores of one process may share their bytes. */
  readonly keep?: (piece: Uint8Array) => Uint8Array
}

/** Makes an empty store in memory. */
export function createMemoryStore(
  deps: { clock: Clock },
  options?: MemoryStoreOptions,
): MemoryStore {
  return new MemoryBlobStore(deps, options ?? {})
}

class MemoryBlobStore implements MemoryStore {
  readonly #clock: Clock
  readonly #sha256: (bytes: Uint8Array) => Uint8Array
  readonly #keepPiece: (piece: Uint8Array) => Uint8Array
  readonly #quotaBytes: number
  readonly #blobs = new Map<Digest, MemoryBlob>()
  readonly #pins = new PinSet()
  readonly #changes = new Changes()
  readonly #buffers: PieceBuffers
  readonly #kv = createMemoryKv()
  readonly #closing = new AbortController()
  /** Bytes of ingests and uploads that are no blob yet. */
  #stagedBytes = 0

  constructor(deps: { clock: Clock }, options: MemoryStoreOptions) {
    this.#clock = deps.clock
    this.#sha256 = options.sha256 ?? sha256
    this.#keepPiece = options.keep ?? ((piece) => piece.slice())
    this.#quotaBytes = options.quotaBytes ?? Number.MAX_SAFE_INTEGER
    const bytesMax = options.buffersBytesMax ?? BUFFERS_BYTES_MAX
    this.#buffers = new PieceBuffers(deps, { bytesMax })
  }

  restart(): void {
    for (const [digest, blob] of this.#blobs) if (!blob.hasBegun) this.#blobs.delete(digest)
  }

  stat(digest: Digest): BlobStat | undefined {
    const blob = this.#blobs.get(digest)
    return blob && this.#statOf(blob)
  }

  *list(): Iterable<BlobStat> {
    for (const blob of [...this.#blobs.values()]) yield this.#statOf(blob)
  }

  open(digest: Digest): BlobReader | undefined {
    this.#check()
    const blob = this.#blobs.get(digest)
    if (blob === undefined) return undefined
    blob.lastUsedMs = this.#clock.now()
    return new MemoryReader(blob, this.#check)
  }

  async openPartial(
    digest: Digest,
    sizeBytes: number,
    options?: { isShared?: boolean },
  ): Promise<PartialBlob> {
    this.#check()
    const known = this.#blobs.get(digest)
    if (known !== undefined && known.sizeBytes !== sizeBytes) {
      throw sizeConflict(digest, known.sizeBytes, sizeBytes)
    }
    if (known?.isComplete === true) throw blobComplete(digest)
    const blob = known ?? this.#add(digest, sizeBytes, options?.isShared ?? true)
    if (known === undefined) this.#changes.emit({ kind: "partial", digest })
    blob.lastUsedMs = this.#clock.now()
    return new MemoryPartial(blob, this.#check, this.#buffers)
  }

  pieceList(digest: Digest): Uint8Array | undefined {
    const blob = this.#blobs.get(digest)
    if (blob?.isComplete !== true) return undefined
    return Buffer.concat(Array.from({ length: blob.layout.count }, (_, i) => blob.sha256Of(i)!))
  }

  async ingest(
    source: AsyncIterable<Uint8Array>,
    options: {
      expected?: Digest
      sizeBytesMax?: number
      isShared?: boolean
      signal?: AbortSignal
    },
  ): Promise<BlobStat> {
    this.#check()
    const upload = new MemoryUpload(this.#staging(options.isShared ?? true))
    const signals = [this.#closing.signal, ...(options.signal ? [options.signal] : [])]
    try {
      for await (const bytes of partsOf(source, AbortSignal.any(signals))) {
        const sizeBytesMax = options.sizeBytesMax ?? Number.POSITIVE_INFINITY
        if (upload.sizeBytes + bytes.length > sizeBytesMax) throw sizeExceeded(sizeBytesMax)
        await upload.write(bytes)
      }
      return await upload.commit(options.expected)
    } catch (error) {
      await upload.cancel()
      throw error
    }
  }

  async createUpload(): Promise<Upload> {
    this.#check()
    return new MemoryUpload(this.#staging(true))
  }

  async share(digest: Digest, isShared: boolean): Promise<void> {
    this.#check()
    const blob = this.#blobs.get(digest)
    if (blob !== undefined) blob.isShared = isShared
  }

  async pin(pin: Pin): Promise<void> {
    this.#check()
    this.#pins.set(pin)
  }

  async unpin(name: string): Promise<boolean> {
    this.#check()
    return this.#pins.delete(name)
  }

  useReplicas(isSpare: IsSpare): void {
    this.#pins.isSpare = isSpare
  }

  useLast(goesLast: GoesLast): void {
    this.#pins.goesLast = goesLast
  }

  pins(): Iterable<Pin> {
    return this.#pins.list()
  }

  async remove(digest: Digest): Promise<boolean> {
    this.#check()
    const blob = this.#blobs.get(digest)
    if (blob === undefined) return false
    if (this.#pins.keeps(digest)) throw blobInUse(digest, "pinned")
    if (blob.leaseCount > 0) throw blobInUse(digest, "leased")
    this.#delete(blob)
    return true
  }

  async sweep(options?: { targetBytes?: number }): Promise<SweepReport> {
    this.#check()
    const target = options?.targetBytes ?? this.#quotaBytes
    const bytes = this.#usedBytes() - target
    const victims = leastRecentlyUsed(this.#candidates(), bytes, this.#pins.goesLast)
    for (const blob of victims) this.#delete(blob)
    return {
      removed: victims.map((blob) => blob.digest),
      freedBytes: victims.reduce((sum, blob) => sum + blob.sizeBytes, 0),
    }
  }

  async *verify(options: { repair: boolean; signal?: AbortSignal }): AsyncIterable<VerifyFinding> {
    this.#check()
    const blobs = [...this.#blobs.values()]
    const totalBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0)
    let doneBytes = 0
    for (const blob of blobs) {
      options.signal?.throwIfAborted()
      const bad = blob.badPieces({ start: 0, end: blob.layout.count })
      if (bad.length > 0 && options.repair) blob.demote(bad)
      doneBytes += blob.sizeBytes
      const kind = bad.length > 0 ? "corrupt" : "ok"
      yield { digest: blob.digest, kind, doneBytes, totalBytes }
    }
  }

  usage(): StoreUsage {
    return {
      usedBytes: this.#usedBytes(),
      quotaBytes: this.#quotaBytes,
      blobCount: this.#blobs.size,
    }
  }

  onChange(listener: (change: BlobChange) => void): () => void {
    return this.#changes.listen(listener)
  }

  kv(name: string): Kv {
    return this.#kv.part(name)
  }

  async close(): Promise<void> {
    this.#closing.abort(storeClosed())
    this.#buffers.close()
  }

  flipBit(digest: Digest, offset: number): void {
    const blob = this.#blobs.get(digest)
    assert(blob !== undefined, `${digest} is not there`)
    blob.flipBit(offset)
  }

  readonly #check = (): void => {
    this.#closing.signal.throwIfAborted()
  }

  #statOf(blob: MemoryBlob): BlobStat {
    const { digest, layout, isComplete, lastUsedMs, isShared } = blob
    const isPinned = this.#pins.has(digest)
    const pieceCount = blob.pieces.count
    return { digest, layout, isComplete, pieceCount, isPinned, lastUsedMs, isShared }
  }

  /** Adds a blob without pieces; sweeps for its room. */
  #add(digest: Digest, sizeBytes: number, isShared: boolean): MemoryBlob {
    this.#reserve(sizeBytes)
    const layout = pieceLayout(sizeBytes)
    const nowMs = this.#clock.now()
    const deps = { changes: this.#changes, sha256: this.#sha256, keep: this.#keepPiece }
    const blob = new MemoryBlob(deps, { digest, layout, isShared, nowMs })
    this.#blobs.set(digest, blob)
    return blob
  }

  #delete(blob: MemoryBlob): void {
    this.#blobs.delete(blob.digest)
    this.#changes.emit({ kind: "removed", digest: blob.digest })
  }

  #reserve(wantedBytes: number): void {
    const amounts = { usedBytes: this.#usedBytes(), quotaBytes: this.#quotaBytes, wantedBytes }
    const victims = makeRoom(this.#candidates(), amounts, this.#pins.goesLast)
    for (const blob of victims) this.#delete(blob)
  }

  #candidates(): MemoryBlob[] {
    const isFree = (blob: MemoryBlob) => blob.leaseCount === 0 && !this.#pins.keeps(blob.digest)
    return [...this.#blobs.values()].filter(isFree)
  }

  #usedBytes(): number {
    let used = this.#stagedBytes
    for (const blob of this.#blobs.values()) used += blob.sizeBytes
    return used
  }

  #staging(isShared: boolean): Staging {
    return {
      check: this.#check,
      reserve: (bytes) => {
        this.#reserve(bytes)
        this.#stagedBytes += bytes
      },
      unreserve: (bytes) => {
        this.#stagedBytes -= bytes
      },
      keep: (bytes) => this.#keep(bytes, isShared),
    }
  }

  /** Makes whole bytes a blob; what was known of it before is completed. */
  #keep(bytes: Uint8Array, isShared: boolean): BlobStat {
    const digest = digestOf(bytes)
    let blob = this.#blobs.get(digest)
    if (blob !== undefined && blob.sizeBytes !== bytes.length) {
      if (blob.leaseCount > 0) throw sizeConflict(digest, blob.sizeBytes, bytes.length)
      this.#delete(blob)
      blob = undefined
    }
    blob ??= this.#add(digest, bytes.length, isShared)
    blob.lastUsedMs = this.#clock.now()
    if (!blob.isComplete) blob.fill(bytes)
    return this.#statOf(blob)
  }
}

/** What an upload needs of its store. */
interface Staging {
  check(): void
  reserve(bytes: number): void
  unreserve(bytes: number): void
  keep(bytes: Uint8Array): BlobStat
}

class MemoryUpload implements Upload {
  readonly id = randomUUID()
  readonly #staging: Staging
  #chunks: Uint8Array[] = []
  #sizeBytes = 0
  #isOver = false

  constructor(staging: Staging) {
    this.#staging = staging
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check()
    try {
      this.#staging.reserve(bytes.length)
    } catch (error) {
      this.#end()
      throw error
    }
    this.#chunks.push(bytes.slice())
    this.#sizeBytes += bytes.length
  }

  async commit(expected?: Digest): Promise<BlobStat> {
    this.#check()
    const whole = Buffer.concat(this.#chunks)
    this.#end()
    const actual = digestOf(whole)
    if (expected !== undefined && actual !== expected) throw digestMismatch(expected, actual)
    return this.#staging.keep(whole)
  }

  async cancel(): Promise<void> {
    if (!this.#isOver) this.#end()
  }

  #check(): void {
    this.#staging.check()
    if (this.#isOver) throw uploadOver(this.id)
  }

  #end(): void {
    this.#isOver = true
    this.#chunks = []
    this.#staging.unreserve(this.#sizeBytes)
  }
}
