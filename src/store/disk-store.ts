/**
 * The blobs of one node on disk ({@link BlobStore}); see docs/architecture.md, On disk.
 * @module
 */
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import { Serial } from "../core/serial.ts"
import { BlobEntry, BlobTable } from "./blob-entry.ts"
import { BlobIndex } from "./blob-index.ts"
import { Changes } from "./changes.ts"
import { Directory, makeSparse } from "./directory.ts"
import type { DiskContext } from "./disk-context.ts"
import { DiskPartial, DiskReader } from "./disk-lease.ts"
import { StoreError } from "./errors.ts"
import { blobComplete, blobInUse, sizeConflict } from "./faults.ts"
import { FilePool } from "./file-pool.ts"
import { type IngestOptions, type IntakeDeps, ingest } from "./intake.ts"
import type { Kv } from "./kv.ts"
import { type DurableKv, openLevelKv } from "./level-kv.ts"
import { Lifetime } from "./lifetime.ts"
import { LiveBlobs } from "./live-blobs.ts"
import { PieceBuffers } from "./piece-buffers.ts"
import { PieceThread } from "./piece-thread.ts"
import { PinSet } from "./pin-set.ts"
import type { GoesLast } from "./quota.ts"
import { recover } from "./recovery.ts"
import { Room } from "./room.ts"
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
import { Uploads } from "./upload.ts"
import { UseNotes } from "./use-notes.ts"
import { verifyAll } from "./verify.ts"
import { WholePlacing } from "./whole-placing.ts"

const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id"

/** What the store on disk needs. */
export interface DiskStoreDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** Where and how much. */
export interface DiskStoreOptions {
  /** The data directory; made when missing. */
  readonly directory: string
  readonly quotaBytes: number
  /** Tells one boot of the machine from another; the kernel's when left out. */
  readonly bootId?: string
  /** Bytes of all piece buffers together. */
  readonly buffersBytesMax?: number
}

// LevelDB's lock is lost when the process that holds it tries to take it again, so it is not tried.
const openDirectories = new Set<string>()

/**
 * Opens the store of a data directory and repairs what a crash left.
 * @throws StoreError `STORE_LOCKED`, `STORE_READ_ONLY`, `DISK_FULL`
 */
export async function openDiskStore(
  deps: DiskStoreDeps,
  options: DiskStoreOptions,
): Promise<BlobStore> {
  const directory = new Directory(options.directory)
  if (openDirectories.has(directory.root)) {
    throw new StoreError("STORE_LOCKED", `another node runs on ${directory.root}`)
  }
  openDirectories.add(directory.root)
  try {
    const level = await openLevelKv(directory.index, directory.root)
    try {
      return await openStore(deps, options, { directory, level })
    } catch (error) {
      await level.close()
      throw error
    }
  } catch (error) {
    openDirectories.delete(directory.root)
    throw error
  }
}

interface Opened {
  readonly directory: Directory
  readonly level: { kv: DurableKv; close(): Promise<void> }
}

async function openStore(
  deps: DiskStoreDeps,
  options: DiskStoreOptions,
  { directory, level }: Opened,
): Promise<BlobStore> {
  const index = new BlobIndex(level.kv.part("store"))
  const table = new BlobTable()
  const { log } = deps
  for (const entry of await recover({ directory, index, log })) table.add(entry)
  const pins = new PinSet()
  for await (const pin of index.pins()) pins.set(pin)
  const bytesMax = options.buffersBytesMax
  const thread = new PieceThread(deps, { name: "sealift-pieces" })
  const ctx: DiskContext = {
    clock: deps.clock,
    log,
    directory,
    index,
    files: new FilePool(),
    thread,
    placing: new WholePlacing({ clock: deps.clock, thread }),
    wholeThread: new PieceThread(deps, { name: "sealift-wholes" }),
    buffers: new PieceBuffers(deps, bytesMax === undefined ? {} : { bytesMax }),
    changes: new Changes(),
    lifetime: new Lifetime(),
    serial: new Serial(),
    bootId: options.bootId ?? readBootId(),
    corruptPieces: deps.metrics.counter(
      "sealift_store_corrupt_pieces_total",
      "Pieces whose bytes changed on disk",
    ),
  }
  return new DiskStore(deps, options, { ctx, table, pins, level })
}

/** Gives the id of this boot; without one, nothing of an earlier process is trusted. */
function readBootId(): string {
  try {
    return readFileSync(BOOT_ID_PATH, "utf8").trim()
  } catch {
    return randomUUID()
  }
}

class DiskStore implements BlobStore {
  readonly #ctx: DiskContext
  readonly #table: BlobTable
  readonly #pins: PinSet
  readonly #level: Opened["level"]
  readonly #live: LiveBlobs
  readonly #room: Room
  readonly #uses: UseNotes
  readonly #intake: IntakeDeps
  readonly #uploads: Uploads
  #closing: Promise<void> | undefined

  constructor(
    deps: DiskStoreDeps,
    options: DiskStoreOptions,
    parts: { ctx: DiskContext; table: BlobTable; pins: PinSet; level: Opened["level"] },
  ) {
    const { ctx, table, pins, level } = parts
    this.#ctx = ctx
    this.#table = table
    this.#pins = pins
    this.#level = level
    this.#live = new LiveBlobs(ctx)
    const sweptBytes = deps.metrics.counter("sealift_store_swept_bytes_total", "Bytes swept")
    this.#room = new Room({ ctx, table, pins, sweptBytes }, options)
    this.#uses = new UseNotes({ ...deps, index: ctx.index, table })
    const ingestedBytes = deps.metrics.counter(
      "sealift_store_ingested_bytes_total",
      "Bytes taken in whole",
    )
    this.#intake = {
      ctx,
      table,
      live: this.#live,
      room: this.#room,
      uses: this.#uses,
      ingestedBytes,
    }
    this.#uploads = new Uploads({ ...this.#intake, pins })
    this.#gauge(deps.metrics)
  }

  stat(digest: Digest): BlobStat | undefined {
    return this.#table.get(digest)?.stat(this.#pins)
  }

  *list(): Iterable<BlobStat> {
    for (const entry of this.#table.values()) yield entry.stat(this.#pins)
  }

  open(digest: Digest): BlobReader | undefined {
    this.#ctx.lifetime.check()
    const entry = this.#table.get(digest)
    if (entry === undefined) return undefined
    this.#uses.touch(entry)
    return new DiskReader(this.#ctx, this.#live, entry)
  }

  openPartial(
    digest: Digest,
    sizeBytes: number,
    options?: { isShared?: boolean },
  ): Promise<PartialBlob> {
    const { lifetime, serial } = this.#ctx
    const isShared = options?.isShared ?? true
    return lifetime.run(() =>
      serial.run(digest, () => this.#openPartial(digest, sizeBytes, isShared)),
    )
  }

  pieceList(digest: Digest): Uint8Array | undefined {
    this.#ctx.lifetime.check()
    const entry = this.#table.get(digest)
    if (entry?.isComplete !== true) return undefined
    return this.#live.get(digest)?.list()?.slice() ?? this.#ctx.index.list(digest)
  }

  ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<BlobStat> {
    return this.#ctx.lifetime.run(async () => {
      const entry = await ingest(this.#intake, source, options)
      return entry.stat(this.#pins)
    })
  }

  async createUpload(): Promise<Upload> {
    this.#ctx.lifetime.check()
    return this.#uploads.create()
  }

  share(digest: Digest, isShared: boolean): Promise<void> {
    return this.#ctx.lifetime.run(async () => {
      const entry = this.#table.get(digest)
      if (entry === undefined || entry.isShared === isShared) return
      entry.isShared = isShared
      if (entry.isNoted) await this.#ctx.index.putBlob(entry.record())
    })
  }

  pin(pin: Pin): Promise<void> {
    return this.#ctx.lifetime.run(async () => {
      this.#pins.set(pin)
      await this.#ctx.index.putPin(pin)
    })
  }

  unpin(name: string): Promise<boolean> {
    return this.#ctx.lifetime.run(async () => {
      if (!this.#pins.delete(name)) return false
      await this.#ctx.index.dropPin(name)
      return true
    })
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

  remove(digest: Digest): Promise<boolean> {
    return this.#ctx.lifetime.run(async () => {
      const entry = this.#table.get(digest)
      if (entry === undefined) return false
      if (this.#pins.keeps(digest)) throw blobInUse(digest, "pinned")
      if (entry.holdCount > 0) throw blobInUse(digest, "leased")
      await this.#room.remove(entry)
      return true
    })
  }

  sweep(options?: { targetBytes?: number }): Promise<SweepReport> {
    const targetBytes = options?.targetBytes ?? this.#room.quotaBytes
    return this.#ctx.lifetime.run(() => this.#room.sweep(targetBytes))
  }

  verify(options: { repair: boolean; signal?: AbortSignal }): AsyncIterable<VerifyFinding> {
    return verifyAll(this.#intake, options)
  }

  usage(): StoreUsage {
    const { usedBytes, count } = this.#table
    return { usedBytes, quotaBytes: this.#room.quotaBytes, blobCount: count }
  }

  onChange(listener: (change: BlobChange) => void): () => void {
    return this.#ctx.changes.listen(listener)
  }

  kv(name: string): Kv {
    return this.#level.kv.part("room").part(name)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { buffers, files, lifetime, placing, thread, wholeThread } = this.#ctx
    lifetime.close()
    buffers.close()
    placing.flush()
    // Before the others: what waits for a long hash ends with it.
    await Promise.all([thread.close(), wholeThread.close()])
    await lifetime.drain()
    await this.#uploads.close()
    await this.#uses.save()
    await files.close()
    await this.#level.close()
    openDirectories.delete(this.#ctx.directory.root)
  }

  async #openPartial(digest: Digest, sizeBytes: number, isShared: boolean): Promise<PartialBlob> {
    const known = this.#table.get(digest)
    if (known !== undefined && known.sizeBytes !== sizeBytes) {
      throw sizeConflict(digest, known.sizeBytes, sizeBytes)
    }
    if (known?.isComplete === true) throw blobComplete(digest)
    const entry = known ?? this.#makePartial(digest, sizeBytes, isShared)
    const lease = new DiskPartial(this.#ctx, this.#live, entry)
    if (!entry.isOnDisk) {
      if (known === undefined) this.#ctx.changes.emit({ kind: "partial", digest })
      this.#uses.touch(entry)
      return lease
    }
    // A thread takes as long to start as a channel to open: both at once, not one after the other.
    if (entry.layout.count > 1) {
      this.#ctx.thread.warm()
      this.#ctx.wholeThread.warm()
    }
    try {
      makeSparse(this.#ctx.directory.blob(digest, false), sizeBytes)
      if (known === undefined) {
        await this.#ctx.index.putBlob(entry.record())
        this.#ctx.changes.emit({ kind: "partial", digest })
      } else if (entry.bootId !== this.#ctx.bootId) await this.#distrust(entry)
      this.#uses.touch(entry)
      return lease
    } catch (error) {
      lease.release()
      if (known === undefined) await this.#room.removeInTurn(entry)
      throw error
    }
  }

  #makePartial(digest: Digest, sizeBytes: number, isShared: boolean): BlobEntry {
    this.#room.make(sizeBytes)
    const { bootId, clock } = this.#ctx
    const use = { isShared, lastUsedMs: clock.now() }
    const entry = new BlobEntry({ digest, sizeBytes, isComplete: false, bootId, ...use })
    entry.isOnDisk = entry.layout.count > 1
    this.#table.add(entry)
    return entry
  }

  /** After a loss of power the index may know pieces that never reached the disk. */
  async #distrust(entry: BlobEntry): Promise<void> {
    await this.#live.using(entry, (blob) => blob.recheck())
    entry.bootId = this.#ctx.bootId
    await this.#ctx.index.putBlob(entry.record())
  }

  #gauge(metrics: Metrics): void {
    const { buffers } = this.#ctx
    metrics.gauge(
      "sealift_store_bytes",
      "Bytes that count for the quota",
      () => this.#table.usedBytes,
    )
    metrics.gauge("sealift_store_blobs", "Blobs, whole and partial", () => this.#table.count)
    metrics.gauge("sealift_store_quota_bytes", "Quota", () => this.#room.quotaBytes)
    metrics.gauge(
      "sealift_store_buffer_bytes",
      "Bytes of piece buffers that are in use",
      () => buffers.takenBytes,
    )
  }
}
