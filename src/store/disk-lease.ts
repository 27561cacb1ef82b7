/**
 * The leases on blobs on disk.
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { Digest } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import type { ByteRange, PieceLayout } from "../core/piece.ts"
import type { BlobEntry } from "./blob-entry.ts"
import type { DiskBlob } from "./disk-blob.ts"
import type { DiskContext } from "./disk-context.ts"
import type { LiveBlobs } from "./live-blobs.ts"
import { assertReadable, holdsRange } from "./reading.ts"
import type { BlobReader, PartialBlob, PieceOutcome, WholeOutcome } from "./store.ts"

/** A lease on a blob, complete or growing. */
export class DiskReader implements BlobReader {
  protected readonly ctx: DiskContext
  protected readonly blob: DiskBlob
  readonly #live: LiveBlobs
  #isReleased = false

  constructor(ctx: DiskContext, live: LiveBlobs, entry: BlobEntry) {
    this.ctx = ctx
    this.#live = live
    this.blob = live.hold(entry)
    this.blob.reading.lookAgain()
  }

  get digest(): Digest {
    return this.blob.entry.digest
  }

  get layout(): PieceLayout {
    return this.blob.entry.layout
  }

  get isComplete(): boolean {
    return this.blob.entry.isComplete
  }

  hasRange(range: ByteRange): boolean {
    return holdsRange(this.layout, this.blob.entry.pieces, range)
  }

  async read(range: ByteRange, target?: Uint8Array): Promise<Uint8Array> {
    assertReadable(this.layout, range)
    const lengthBytes = range.end - range.start
    const into = target?.subarray(0, lengthBytes) ?? Buffer.allocUnsafeSlow(lengthBytes)
    assert(into.length === lengthBytes, "the target is shorter than the range")
    await this.use(() => this.blob.reading.read(range, [into]))
    return into
  }

  async readScattered(start: number, targets: readonly Uint8Array[]): Promise<void> {
    const lengthBytes = targets.reduce((sum, target) => sum + target.length, 0)
    if (lengthBytes === 0) return
    const range = { start, end: start + lengthBytes }
    assertReadable(this.layout, range)
    await this.use(() => this.blob.reading.read(range, targets))
  }

  release(): void {
    assert(!this.#isReleased, "a lease is released once")
    this.#isReleased = true
    this.#live.drop(this.blob)
  }

  /** Runs an operation, which holds the blob itself: its caller may release the lease meanwhile. */
  protected async use<T>(work: () => Promise<T>): Promise<T> {
    assert(!this.#isReleased, "a lease is not used after its release")
    return this.ctx.lifetime.run(() => this.#live.using(this.blob.entry, work))
  }
}

/** A lease on a growing blob. */
export class DiskPartial extends DiskReader implements PartialBlob {
  constructor(ctx: DiskContext, live: LiveBlobs, entry: BlobEntry) {
    super(ctx, live, entry)
    if (entry.layout.count <= 1) ctx.placing.growingCount++
  }

  override release(): void {
    super.release()
    if (this.layout.count <= 1) this.ctx.placing.growingCount--
  }

  get pieces(): Bitfield {
    return this.blob.entry.pieces
  }

  pieceSha256(index: number): Uint8Array | undefined {
    if (!this.pieces.has(index)) return undefined
    return this.blob.pieceSha256(index)?.slice()
  }

  takeBuffer(options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    const { lengthBytes } = this.layout
    return this.ctx.buffers.take(lengthBytes, options?.signal, this.blob.writing.isOpen)
  }

  tryTakeBuffer(): Uint8Array | undefined {
    return this.ctx.buffers.tryTake(this.layout.lengthBytes, this.blob.writing.isOpen)
  }

  returnBuffer(buffer: Uint8Array): void {
    this.ctx.buffers.giveBack(buffer)
  }

  writePiece(index: number, bytes: Uint8Array, expected?: Uint8Array): Promise<PieceOutcome> {
    return this.use(() => this.blob.writing.write(index, bytes, expected))
  }

  dropPieces(indexes: readonly number[]): Promise<void> {
    return this.use(() => this.blob.drop(indexes))
  }

  finish(options?: { signal?: AbortSignal }): Promise<WholeOutcome> {
    return orAborted(
      this.use(() => this.blob.finish()),
      options?.signal,
    )
  }
}

/** Waits for work that goes on, or until the waiting is given up. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })
}
