/**
 * Takes in the pieces of one growing blob: hashed, compared, written, noted in the index.
 * @module
 */
import { isExpected, rawOf, SHA1_BYTES, sha256 } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import { pieceRange } from "../core/piece.ts"
import type { BlobEntry } from "./blob-entry.ts"
import { makeSparse } from "./directory.ts"
import { acquireFile, type DiskContext } from "./disk-context.ts"
import type { PooledFile } from "./file-pool.ts"
import { writeFully } from "./file-reading.ts"
import type { PieceOutcome } from "./store.ts"
import { ThreadBlob } from "./thread-blob.ts"
import type { RollJob } from "./thread-job.ts"

/**
 * Pieces of one blob that are hashed, written and noted while others are received. What is not noted
 * when the process dies was fetched in vain, so it is little more than what a source is sending; with
 * fewer the receiver waits for the disk (with two a fifth of the transfer rate is lost, with four a
 * twentieth).
 */
const WRITES_MAX = 8

/** What the writing needs of its blob. */
export interface WritableBlob {
  readonly entry: BlobEntry
  pieceSha256(index: number): Uint8Array | undefined
  /** The only piece is right and at the blob's own place. */
  placed(sha256: Uint8Array, identity: string): Promise<void>
}

/** The blob's open file, and the blob as both threads know it. */
interface Attachment {
  readonly file: Promise<PooledFile>
  readonly writer: ThreadBlob
  readonly whole: ThreadBlob
}

type Attached = Omit<Attachment, "file"> & { readonly fd: number }

/** The writing of one blob, for all its leases. */
export class PieceWriting {
  readonly #ctx: DiskContext
  readonly #blob: WritableBlob
  readonly #entry: BlobEntry
  readonly #running = new Map<number, Promise<PieceOutcome>>()
  #attachment: Attachment | undefined

  constructor(ctx: DiskContext, blob: WritableBlob) {
    this.#ctx = ctx
    this.#blob = blob
    this.#entry = blob.entry
  }

  /** Whether another piece may be received. Bound, to be handed on as a gate. */
  readonly isOpen = (): boolean => this.#running.size < WRITES_MAX

  /** Takes in one piece; two of the same index one after the other. */
  async write(
    index: number,
    bytes: Uint8Array,
    expected: Uint8Array | undefined,
  ): Promise<PieceOutcome> {
    const range = pieceRange(this.#entry.layout, index)
    assert(bytes.length === range.end - range.start, `piece ${index} of ${bytes.length} bytes`)
    for (;;) {
      const before = this.#running.get(index)
      if (before === undefined) break
      // Its fault is told to its own caller.
      await before.catch(() => {})
    }
    const outcome = this.#writeOnce(index, bytes, expected)
    this.#running.set(index, outcome)
    try {
      return await outcome
    } finally {
      this.#running.delete(index)
      if (this.#running.size < WRITES_MAX) this.#ctx.buffers.look()
    }
  }

  /** Gives the SHA-256 of the whole, all of whose pieces are there. */
  async wholeSha256(): Promise<Uint8Array> {
    const attached = await this.#attach()
    assert(attached !== undefined, "only a growing blob has its whole to be hashed")
    const blob = attached.whole.id(attached.fd)
    const answer = await this.#ctx.wholeThread.ask({ kind: "whole", blob })
    return answer.sha256
  }

  /** Tells the thread that pieces are gone. */
  dropped(indexes: readonly number[]): void {
    const blob = this.#attachment?.whole.known
    if (blob !== undefined) this.#ctx.wholeThread.drop(blob, indexes)
  }

  /** Lets go of the file; a later write attaches anew. */
  detach(): void {
    const attachment = this.#attachment
    if (attachment === undefined) return
    this.#attachment = undefined
    const { file, writer, whole } = attachment
    const released = Promise.all([file, writer.detach(), whole.detach()]).then(([opened]) =>
      this.#ctx.files.release(opened),
    )
    // A file that could not be opened was told to whoever wrote.
    released.catch(() => {})
  }

  async #writeOnce(
    index: number,
    bytes: Uint8Array,
    expected: Uint8Array | undefined,
  ): Promise<PieceOutcome> {
    if (this.#entry.pieces.has(index)) return this.#compare(index, bytes, expected)
    if (this.#entry.layout.count > 1) return this.#writeByThreads(index, bytes, expected)
    const { digest, isOnDisk } = this.#entry
    const isOther = !isExpected(bytes, rawOf(digest), expected)
    // Its file may be read while it becomes whole: it moves to its place in one step with its state.
    if (isOnDisk || isOther) return this.#writePartial(bytes, expected)
    const outcome = await this.#ctx.serial.run(digest, () => this.#placeWhole(bytes))
    const isOver = outcome.kind === "written" || expected !== undefined
    return isOver ? outcome : this.#writePartial(bytes, expected)
  }

  /** Makes the blob whole by its only piece, unless that is another one than its digest says. */
  async #placeWhole(bytes: Uint8Array): Promise<PieceOutcome> {
    if (this.#entry.pieces.has(0)) return this.#compare(0, bytes)
    const { directory, placing } = this.#ctx
    const { digest } = this.#entry
    const at = { partialPath: directory.blob(digest, false), path: directory.blob(digest, true) }
    const { sha256: actual, identity } = await placing.place(at, bytes, rawOf(digest))
    if (identity === undefined) return { kind: "mismatch", sha256: actual }
    await this.#blob.placed(actual, identity)
    return { kind: "written", sha256: actual }
  }

  /** Takes a piece that is not what the blob's digest says, for whoever finds that out in the end. */
  async #writePartial(bytes: Uint8Array, expected: Uint8Array | undefined): Promise<PieceOutcome> {
    const entry = this.#entry
    if (!entry.isOnDisk) {
      makeSparse(this.#ctx.directory.blob(entry.digest, false), entry.sizeBytes)
      entry.isOnDisk = true
      await this.#ctx.index.putBlob(entry.record())
    }
    const outcome = await this.#writeHere(0, bytes, expected)
    return outcome.kind === "mismatch" ? outcome : this.#note(0, outcome.sha256)
  }

  /** Judges bytes of a piece that is there: it stays as it is. */
  #compare(index: number, bytes: Uint8Array, expected?: Uint8Array): PieceOutcome {
    const actual = sha256(bytes)
    if (isExpected(bytes, actual, expected)) return this.#judge(index, actual)
    return { kind: "mismatch", sha256: actual }
  }

  #judge(index: number, actual: Uint8Array): PieceOutcome {
    const known = this.#blob.pieceSha256(index)
    const isRight = known !== undefined && isEqual(actual, known)
    return { kind: isRight ? "written" : "mismatch", sha256: actual }
  }

  async #writeHere(
    index: number,
    bytes: Uint8Array,
    expected: Uint8Array | undefined,
  ): Promise<PieceOutcome> {
    const actual = sha256(bytes)
    if (!isExpected(bytes, actual, expected)) return { kind: "mismatch", sha256: actual }
    const file = await acquireFile(this.#ctx, this.#entry)
    try {
      // The blob may have become whole by another way meanwhile; then its file is not ours to write.
      if (!this.#entry.isComplete) {
        await writeFully(file.fd, bytes, pieceRange(this.#entry.layout, index).start)
      }
    } finally {
      this.#ctx.files.release(file)
    }
    return { kind: "written", sha256: actual }
  }

  /**
   * One thread checks and writes the piece while the other hashes it into the whole. Where the check is
   * by SHA-1 the other makes its SHA-256 as well, so that both have as much to do.
   */
  async #writeByThreads(
    index: number,
    bytes: Uint8Array,
    expected: Uint8Array | undefined,
  ): Promise<PieceOutcome> {
    const attached = await this.#attach()
    if (attached === undefined) return this.#compare(index, bytes, expected)
    const isElsewhere = expected?.length === SHA1_BYTES && isSharedMemory(bytes)
    const rolled = this.#roll(attached, { index, bytes, wantsSha256: isElsewhere })
    try {
      const blob = attached.writer.id(attached.fd)
      // A copy: a part would take all of its list along to the thread.
      const wanted = expected && new Uint8Array(expected)
      const rest = { expected: wanted, wantsSha256: !isElsewhere }
      const job = { kind: "write", blob, index, ...rest } as const
      const answer = await this.#ctx.thread.ask(...owned(job, bytes))
      if (!answer.isRight) {
        this.dropped([index])
        return { kind: "mismatch", sha256: answer.sha256 }
      }
      const actual = isElsewhere ? ((await rolled) ?? sha256(bytes)) : answer.sha256
      return await this.#note(index, actual)
    } catch (error) {
      this.dropped([index])
      throw error
    } finally {
      // Only then are the bytes free for others.
      await rolled
    }
  }

  /** @returns what the thread made of it; undefined if it did nothing */
  async #roll(
    { fd, whole }: Attached,
    piece: Pick<RollJob, "index" | "bytes" | "wantsSha256">,
  ): Promise<Uint8Array | undefined> {
    // Bytes that are not shared go over to the other thread: the whole reads them from the file.
    if (!isSharedMemory(piece.bytes)) return undefined
    try {
      const job = { kind: "roll", blob: whole.id(fd), ...piece } as const
      return (await this.#ctx.wholeThread.ask(job)).sha256
    } catch {
      // The thread died; the next one begins with what is in the file.
      return undefined
    }
  }

  /** Makes a written piece known: first to the index, so that it outlives the process. */
  async #note(index: number, actual: Uint8Array): Promise<PieceOutcome> {
    const entry = this.#entry
    if (entry.isComplete) return this.#judge(index, actual)
    await this.#ctx.index.putPiece(entry.digest, index, actual)
    if (!entry.isComplete && entry.pieces.add(index)) {
      entry.markChecked(index)
      const blob = this.#attachment?.whole.known
      if (blob !== undefined) this.#ctx.wholeThread.wrote(blob, index)
      this.#ctx.changes.emit({ kind: "piece", digest: entry.digest, index })
    }
    return { kind: "written", sha256: actual }
  }

  /** Opens the file for the threads; undefined when the blob is whole by now. */
  async #attach(): Promise<Attached | undefined> {
    while (!this.#entry.isComplete) {
      const attachment = this.#attachment ?? this.#open()
      const { fd } = await attachment.file
      // It may have been let go of meanwhile.
      if (this.#attachment === attachment) return { ...attachment, fd }
    }
    return undefined
  }

  #open(): Attachment {
    const { thread, wholeThread } = this.#ctx
    const entry = this.#entry
    const { sizeBytes, lengthBytes } = entry.layout
    const shape = { sizeBytes, lengthBytes }
    const none = new Uint8Array(entry.pieces.bytes.length)
    const attachment: Attachment = {
      file: acquireFile(this.#ctx, this.#entry),
      writer: new ThreadBlob(thread, () => ({ ...shape, pieces: none })),
      whole: new ThreadBlob(wholeThread, () => ({ ...shape, pieces: entry.pieces.bytes.slice() })),
    }
    this.#attachment = attachment
    attachment.file.catch(() => {
      if (this.#attachment === attachment) this.#attachment = undefined
    })
    return attachment
  }
}

/** Makes a job of bytes that may be shared with the thread, else go over to it. */
function owned<T>(job: T, bytes: Uint8Array): [job: T & { bytes: Uint8Array }, ArrayBuffer?] {
  if (isSharedMemory(bytes)) return [{ ...job, bytes }]
  const copy = new Uint8Array(bytes)
  return [{ ...job, bytes: copy }, copy.buffer]
}

function isSharedMemory(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
