/**
 * Answers the requests of one connection: round robin over its torrents, one vectored read and one
 * write for a run of contiguous blocks, the next reads while the last write is on its way.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import { BLOCK_BYTES } from "../core/limits.ts"
import type { Flow } from "./shaper.ts"
import type { LinkTraffic } from "./shaping.ts"
import type { Batch, Upload } from "./upload.ts"
import { PIECE_HEAD_BYTES } from "./wire-messages.ts"
import type { WireWriter } from "./wire-writer.ts"
import { WritePace } from "./write-pace.ts"

/** Most block bytes of one read and write. */
const BATCH_BYTES_MAX: number = 1024 * 1024
/** Torrents that are read from at the same time: of small blobs each read is mostly waiting. */
const READS_MAX = 4
/** Buffers up to this length are not worth keeping. */
const KEPT_BYTES_MIN: number = 4 * BLOCK_BYTES
/** Lengths of buffers that are kept, in blocks: many small blobs, and connections under a limit, have short batches. */
const CLASS_BLOCKS: readonly number[] = [8, 16, BATCH_BYTES_MAX / BLOCK_BYTES]
/** Buffers of one class that are kept at most, in number and in bytes. */
const KEPT_COUNT_MAX = 24
const KEPT_BYTES_MAX: number = 8 * BATCH_BYTES_MAX

/** Spare buffers of one length. */
interface BufferClass {
  readonly lengthBytes: number
  readonly countMax: number
  readonly spare: Uint8Array[]
}

/** Buffers for batches, used again when the stream has taken their bytes. Shared by connections. */
export class BatchBuffers {
  readonly #classes: readonly BufferClass[] = CLASS_BLOCKS.map((blocks) => ({
    lengthBytes: blocks * (BLOCK_BYTES + PIECE_HEAD_BYTES),
    countMax: Math.min(KEPT_COUNT_MAX, KEPT_BYTES_MAX / (blocks * BLOCK_BYTES)),
    spare: [],
  }))

  take(bytes: number): Uint8Array {
    const fitting = this.#classes.find(({ lengthBytes }) => bytes <= lengthBytes)
    if (bytes <= KEPT_BYTES_MIN || fitting === undefined) return Buffer.allocUnsafe(bytes)
    const buffer = fitting.spare.pop() ?? Buffer.allocUnsafeSlow(fitting.lengthBytes)
    return buffer.subarray(0, bytes)
  }

  giveBack(bytes: Uint8Array): void {
    const { byteLength } = bytes.buffer
    const its = this.#classes.find(({ lengthBytes }) => lengthBytes === byteLength)
    if (its === undefined || bytes.byteOffset !== 0 || its.spare.length >= its.countMax) return
    its.spare.push(Buffer.from(bytes.buffer, 0, byteLength))
  }
}

/** What the server tells of what it did. */
export interface UploadEvents {
  onSent(upload: Upload, blockBytes: number): void
  /** The store could not give what it had: the upload's pieces may be fewer now. */
  onUnreadable(upload: Upload, code: string | undefined): void
}

/** The serving half of one connection. */
export class UploadServer {
  readonly #writer: WireWriter
  readonly #buffers: BatchBuffers
  readonly #events: UploadEvents
  readonly #pace: WritePace
  readonly #flow: Flow | undefined
  #uploads: Upload[] = []
  #turn = 0
  /** What is being read now; of each upload one batch, so that its blocks stay in order. */
  readonly #reading = new Set<Upload>()
  #readingBytes = 0
  #isClosed = false

  constructor(deps: {
    writer: WireWriter
    buffers: BatchBuffers
    events: UploadEvents
    clock: Clock
    traffic?: LinkTraffic | undefined
  }) {
    this.#pace = new WritePace(deps.clock)
    this.#writer = deps.writer
    this.#buffers = deps.buffers
    this.#events = deps.events
    this.#flow = deps.traffic?.uploads(() => this.kick())
  }

  get uploads(): readonly Upload[] {
    return this.#uploads
  }

  /** Whether the stream has not taken all blocks that it was given. */
  get isHeldUp(): boolean {
    return this.#writer.blockPendingBytes > 0
  }

  add(upload: Upload): void {
    this.#uploads.push(upload)
  }

  remove(upload: Upload): void {
    this.#uploads = this.#uploads.filter((other) => other !== upload)
  }

  close(): void {
    this.#isClosed = true
    this.#uploads = []
    this.#flow?.close()
  }

  /** There may be something to do. */
  kick(): void {
    while (this.#reading.size < READS_MAX && !this.#isClosed) {
      const upload = this.#next()
      if (upload === undefined) return
      void this.#run(upload)
    }
  }

  async #run(upload: Upload): Promise<void> {
    const batch = this.#nextBatch(upload)
    const { length } = batch.messages
    this.#reading.add(upload)
    this.#readingBytes += length
    await this.#serve(batch)
    this.#reading.delete(upload)
    this.#readingBytes -= length
    this.kick()
  }

  /** Under a limit batches are small, so that no connection waits long for its turn. */
  #nextBatch(upload: Upload): Batch {
    const flow = this.#flow
    const aheadBytes = Math.min(BATCH_BYTES_MAX, this.#pace.aheadBytes / 2)
    const bytesMax = flow === undefined ? aheadBytes : Math.min(aheadBytes, flow.allowance())
    const batch = upload.nextBatch(bytesMax, (bytes) => this.#buffers.take(bytes))
    flow?.spend(batch.messages.length)
    return batch
  }

  async #serve(batch: Batch): Promise<void> {
    const { upload } = batch
    try {
      await upload.reader.readScattered(batch.start, batch.targets)
    } catch (error) {
      this.#buffers.giveBack(batch.messages)
      this.#flow?.refund(batch.messages.length)
      if (this.#isClosed) return
      // First what was lost, so that the rejects are no surprise.
      this.#events.onUnreadable(upload, codeOf(error))
      upload.rejectBatch(batch)
      return
    }
    if (this.#isClosed) return
    if (upload.lossCount !== batch.lossCount) {
      // What was read may be what came in place of what was lost.
      this.#buffers.giveBack(batch.messages)
      this.#flow?.refund(batch.messages.length)
      upload.rejectBatch(batch)
      return
    }
    if (this.#writer.blockPendingBytes === 0) this.#pace.begin()
    this.#writer.blocks(upload.torrent, batch.messages, () => {
      this.#pace.onTaken(batch.messages.length)
      this.#buffers.giveBack(batch.messages)
      this.kick()
    })
    upload.uploadedBytes += batch.blockBytes
    this.#events.onSent(upload, batch.blockBytes)
  }

  #isAhead(): boolean {
    return this.#writer.blockPendingBytes + this.#readingBytes >= this.#pace.aheadBytes
  }

  /** Gives the next upload whose turn it is, unless the stream has enough to do. */
  #next(): Upload | undefined {
    if (this.#isClosed || this.#isAhead()) return undefined
    const uploads = this.#uploads
    for (let step = 0; step < uploads.length; step++) {
      const upload = uploads[(this.#turn + step) % uploads.length]!
      if (!upload.isServable || this.#reading.has(upload)) continue
      // It is woken when its turn has come.
      if (this.#flow?.allowance() === 0) return undefined
      this.#turn = (this.#turn + step + 1) % uploads.length
      return upload
    }
    return undefined
  }
}
