/**
 * What one flight reads from this node's own origin: which gaps, in which order, with which retries.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { type ByteRange, type PieceLayout, pieceRange } from "../core/piece.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { StoreError } from "../store/errors.ts"
import type { PartialBlob } from "../store/store.ts"
import type { Torrent } from "../swarm/swarm.ts"
import { segmentOf } from "./election.ts"
import { OriginError } from "./errors.ts"
import { GAP_BYTES_MAX, type GapView, nextRun } from "./gap.ts"
import { type DeliveryDeps, type DeliveryLimits, TICK_MS } from "./limit.ts"
import type { OriginBody, OriginRef } from "./origin.ts"
import type { OriginMemory } from "./origin-memory.ts"
import { readAnswer } from "./origin-stream.ts"
import type { OriginTraffic } from "./origin-traffic.ts"
import { OwnPieces } from "./own-pieces.ts"

/** Places of one blob that are remembered, in the order in which clients named them. */
const REFS_MAX = 4
/** Faults in a row that may pass by themselves; a stream that wrote a piece starts over. */
const TRIES_MAX = 3
/** Streams of one flight from one place that may bring nothing. */
const STREAMS_VAIN_MAX = 64
const BACK_OFF_MS = 200
/** Times that an origin may send a whole blob with a wrong digest. */
const CORRUPT_MAX = 2
/** Pieces ahead of a stream that peers need not send. */
const RESERVED_PIECES = 4
/** Streams of one flight: one, and one more where a reader waits far from the first. */
const STREAMS_MAX = 2

/** What a pull needs of its flight. */
export interface PullHost {
  readonly digest: Digest
  layout(): PieceLayout | undefined
  /** Of this blob; undefined: as its size gives. */
  segmentBytes(): number | undefined
  blob(): PartialBlob | undefined
  torrent(): Torrent | undefined
  /** An origin began to answer. @returns the blob to write to; undefined: do not read on */
  onHeader(answer: OriginBody, ref: OriginRef): Promise<PartialBlob | undefined>
  onPiece(index: number): void
  /** Bytes of the blob from a position on. */
  onChunk(chunk: Uint8Array, positionBytes: number, ref: OriginRef): void
  onFault(fault: OriginError): void
  /** The origin sent the whole when it was asked for a part. */
  onRangeless(ref: OriginRef): void
  /** A place is not read any more in this flight. */
  onCondemned(fault: OriginError, ref: OriginRef): void
  onStoreFault(error: StoreError): void
  wake(): void
}

interface Place {
  readonly ref: OriginRef
  readonly isServed: boolean
  fault: OriginError | undefined
  /** The last fault that may pass. */
  trouble: OriginError | undefined
  tries: number
  /** Streams that have brought no piece, those that run included. */
  vainStreams: number
  corrupt: number
  retryAtMs: number
}

interface Stream {
  /** Pieces; the end is infinite until the size is known. */
  run: ByteRange
  at: number
  /** Pieces before `at` that are received but not written yet: nobody needs to ask for them again. */
  readonly writing: Set<number>
  hasHeader: boolean
  isInterrupted: boolean
  pendingBytes: number
  /** A part was asked for, and the whole is sent. */
  isRangeless: boolean
  readonly sinceMs: number
  readonly stopping: AbortController
}

/** Slots for streams from origins; one pool per node. */
export interface OriginSlots {
  tryTake(): boolean
  free(): void
}

export interface PullDeps extends DeliveryDeps {
  readonly slots: OriginSlots
  readonly memory: OriginMemory
  readonly traffic: OriginTraffic
}

/** The own-origin side of one flight. */
export class OriginPull {
  readonly #deps: PullDeps
  readonly #limits: DeliveryLimits
  readonly #host: PullHost
  readonly #places: Place[] = []
  readonly #streams = new Set<Stream>()
  /** Segments that this node reads. */
  mine: ReadonlySet<number> = new Set()
  /** What this node's own origin sent; undefined before the first answer. */
  own: OwnPieces | undefined
  receivedBytes = 0
  hasAnswered = false
  #isStopped = false

  constructor(deps: PullDeps, limits: DeliveryLimits, host: PullHost) {
    this.#deps = deps
    this.#limits = limits
    this.#host = host
  }

  /** Adds a place to read from, unless it is known or there are too many. */
  addRef(ref: OriginRef): void {
    if (this.hasRef(ref) || this.#places.length >= REFS_MAX) return
    this.#places.push({
      ref,
      isServed: this.#deps.origin.serves(ref),
      fault: undefined,
      trouble: undefined,
      tries: 0,
      vainStreams: 0,
      corrupt: 0,
      retryAtMs: 0,
    })
  }

  hasRef({ registry, repository }: OriginRef): boolean {
    return this.#places.some(
      ({ ref }) => ref.registry === registry && ref.repository === repository,
    )
  }

  /** The place that is read or asked for now: the first that has not failed. */
  get ref(): OriginRef | undefined {
    return this.#place()?.ref ?? this.#places[0]?.ref
  }

  /** Whether this node may read from some place that has not failed for good. */
  get isUsable(): boolean {
    return this.#place() !== undefined
  }

  /** Bytes of pieces that are on their way and not written yet. */
  get pendingBytes(): number {
    let bytes = 0
    for (const stream of this.#streams) bytes += stream.pendingBytes
    return bytes
  }

  get isStreaming(): boolean {
    return this.#streams.size > 0
  }

  /** Whether an origin was asked and has neither answered nor failed. */
  isWaitingForHeader(nowMs: number, maxMs: number): boolean {
    for (const stream of this.#streams) {
      if (!stream.hasHeader && nowMs - stream.sinceMs < maxMs) return true
    }
    return false
  }

  /** Why nothing comes from the origin: the fault of the first place, final or passing. */
  fault(): OriginError | undefined {
    for (const place of this.#places) if (place.fault !== undefined) return place.fault
    for (const place of this.#places) if (place.trouble !== undefined) return place.trouble
    return undefined
  }

  /** Starts what can be started. @param reader - the piece that a client reads next */
  pump(reader: number): void {
    const place = this.#place()
    if (this.#isStopped || place === undefined || this.mine.size === 0) return
    if (this.#deps.clock.monotonicMs() < place.retryAtMs) return
    if (this.#streams.size >= STREAMS_MAX) return
    const layout = this.#host.layout()
    const run = layout === undefined ? this.#firstRun() : this.#nextRun(layout, reader)
    if (run === undefined) return
    if (place.vainStreams >= STREAMS_VAIN_MAX) {
      this.#condemn(place, place.trouble)
      return
    }
    if (!this.#deps.slots.tryTake()) return
    place.vainStreams++
    const stream: Stream = {
      run,
      at: run.start,
      writing: new Set(),
      hasHeader: false,
      isInterrupted: false,
      pendingBytes: 0,
      isRangeless: false,
      sinceMs: this.#deps.clock.monotonicMs(),
      stopping: new AbortController(),
    }
    this.#streams.add(stream)
    void this.#read(stream, place)
  }

  /** The whole digest is wrong and every byte came from the origin in use. */
  blame(): void {
    const place = this.#place()
    if (place === undefined) return
    place.corrupt++
    const corrupt = new OriginError("ORIGIN_CORRUPT", "the origin's bytes have another digest")
    this.#host.onFault(corrupt)
    if (place.corrupt >= CORRUPT_MAX) this.#condemn(place, corrupt)
    else place.trouble = corrupt
  }

  /** Ends the place in use for this flight. */
  condemn(fault: OriginError): void {
    const place = this.#place()
    if (place !== undefined) this.#condemn(place, fault)
  }

  /** Stops the streams; the next {@link pump} may start others. */
  interrupt(): void {
    for (const stream of this.#streams) {
      stream.isInterrupted = true
      stream.stopping.abort(new OriginError("ORIGIN_UNAVAILABLE", "no longer needed"))
    }
  }

  stop(): void {
    this.#isStopped = true
    this.interrupt()
  }

  /** Whether some place could be read if the way to it were not metered. */
  get isMetered(): boolean {
    return this.#places.some((place) => isOpen(place) && this.#deps.traffic.isMetered(place.ref))
  }

  #place(): Place | undefined {
    const { traffic } = this.#deps
    return this.#places.find((place) => isOpen(place) && !traffic.isMetered(place.ref))
  }

  async #read(stream: Stream, place: Place): Promise<void> {
    let isFaultless = false
    const before = this.own?.count ?? 0
    try {
      const answer = await this.#ask(stream, place)
      stream.hasHeader = true
      this.hasAnswered = true
      const blob = await this.#host.onHeader(answer, place.ref)
      if (blob === undefined || stream.stopping.signal.aborted) return
      await this.#receive(answer, blob, stream, place)
      isFaultless = true
    } catch (error) {
      this.#onFault(error, stream, place, (this.own?.count ?? 0) > before)
    } finally {
      stream.stopping.abort()
      this.#streams.delete(stream)
      this.#deps.slots.free()
      if ((this.own?.count ?? 0) > before) place.vainStreams--
      if (isFaultless) this.#settleTries(place)
      this.#host.wake()
    }
  }

  #settleTries(place: Place): void {
    place.tries = 0
    if (place.trouble?.code !== "ORIGIN_CORRUPT") place.trouble = undefined
  }

  async #ask(stream: Stream, place: Place): Promise<OriginBody> {
    const { signal } = stream.stopping
    const stalled = new OriginError("ORIGIN_STALLED", "the origin does not answer")
    const headerMs = this.#limits.answerMs - 2 * TICK_MS
    const cancel = this.#deps.clock.after(headerMs, () => stream.stopping.abort(stalled))
    const range = this.#rangeOf(stream.run)
    const ask = (own: AbortSignal) => {
      const options = range === undefined ? { signal: own } : { range, signal: own }
      return this.#deps.origin.fetchBlob(place.ref, this.#host.digest, options)
    }
    try {
      return await this.#askTwice(ask, signal)
    } finally {
      cancel()
    }
  }

  /**
   * Asks, and once more when nothing came for a while: where packets were dropped on a full link, a
   * connection waits longer and longer for its next try, and a new one gets through at once.
   */
  async #askTwice(
    ask: (signal: AbortSignal) => Promise<OriginBody>,
    signal: AbortSignal,
  ): Promise<OriginBody> {
    const stops: AbortController[] = []
    const begin = async (): Promise<OriginBody> => {
      const stop = new AbortController()
      stops.push(stop)
      const answer = await untilAborted(ask(AbortSignal.any([signal, stop.signal])), signal)
      // Whoever answers first ends the other one.
      if (!stop.signal.aborted) for (const other of stops) if (other !== stop) other.abort()
      return answer
    }
    const late = Promise.withResolvers<OriginBody>()
    const first = begin()
    const cancel = this.#deps.clock.after(this.#limits.stallMs, () => late.resolve(begin()))
    // A refusal is an answer: nobody is asked again because of it.
    first.catch((error: unknown) => {
      if (stops.length === 1) late.reject(error)
    })
    try {
      return await Promise.any([first, late.promise])
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error
    } finally {
      cancel()
    }
  }

  async #receive(
    answer: OriginBody,
    blob: PartialBlob,
    stream: Stream,
    place: Place,
  ): Promise<void> {
    const { layout } = blob
    this.own ??= new OwnPieces(layout.count)
    const start = Math.floor(answer.range.start / layout.lengthBytes)
    stream.isRangeless = start < stream.run.start
    if (stream.isRangeless) this.#host.onRangeless(place.ref)
    const end = stream.isRangeless ? layout.count : Math.min(stream.run.end, layout.count)
    stream.run = { start, end }
    stream.at = start
    const reserve = this.#reserver(layout)
    try {
      await readAnswer(answer, blob, {
        clock: this.#deps.clock,
        stallMs: this.#limits.stallMs,
        stopping: stream.stopping,
        throttle: this.#deps.traffic.throttle(place.ref),
        goesOn: (index) => {
          stream.at = index
          stream.pendingBytes = 0
          reserve.move(index)
          return this.#goesOn(index, stream, blob)
        },
        onChunk: (chunk, positionBytes) => {
          this.receivedBytes += chunk.length
          stream.pendingBytes += chunk.length
          this.#host.onChunk(chunk, positionBytes, place.ref)
        },
        onWriting: (index) => {
          stream.writing.add(index)
          return () => stream.writing.delete(index)
        },
        onPiece: (index, { kind, sha256 }) => {
          this.own?.note(index, sha256)
          // If a peer's piece came first and differs, one is wrong: the whole digest says which.
          if (kind === "written") this.#host.onPiece(index)
        },
      })
    } finally {
      reserve.end()
    }
  }

  /** Keeps peers from sending the next few pieces, which come from the origin anyway. */
  #reserver(layout: PieceLayout): { move(index: number): void; end(): void } {
    let release: (() => void) | undefined
    return {
      move: (index) => {
        release?.()
        const end = Math.min(index + RESERVED_PIECES, layout.count)
        release = this.#host.torrent()?.reserve({ start: index, end })
      },
      end: () => release?.(),
    }
  }

  #goesOn(index: number, stream: Stream, blob: PartialBlob): boolean {
    if (this.#isStopped || stream.stopping.signal.aborted || !this.isUsable) return false
    const { layout } = blob
    const next = blob.pieces.nextMissing(index)
    // An origin that knows no ranges is read to the end: a second answer would cost the same again.
    if (stream.isRangeless) return next < layout.count && this.mine.size > 0
    if (next >= stream.run.end) return false
    if (!this.mine.has(segmentOf(layout, next, this.#host.segmentBytes()))) return false
    return (next - index) * layout.lengthBytes <= GAP_BYTES_MAX
  }

  #onFault(error: unknown, stream: Stream, place: Place, hasMoved: boolean): void {
    if (this.#isStopped || stream.isInterrupted) return
    if (error instanceof StoreError) {
      this.#host.onStoreFault(error)
      return
    }
    const fault = asOriginFault(error)
    this.#host.onFault(fault)
    this.#deps.log.debug(
      { digest: this.#host.digest, registry: place.ref.registry, code: fault.code },
      fault.message,
    )
    place.trouble = fault
    if (fault.code === "ORIGIN_STALLED" && this.#deps.memory.isBusy(place.ref)) {
      // Its link is full. A new connection gets through sooner than one whose packets were dropped.
      place.retryAtMs = this.#deps.clock.monotonicMs() + BACK_OFF_MS
      return
    }
    place.tries = hasMoved ? 1 : place.tries + 1
    if (!canPass(fault) || place.tries >= TRIES_MAX) {
      this.#condemn(place, fault)
      return
    }
    const backOffMs = BACK_OFF_MS * 2 ** (place.tries - 1)
    place.retryAtMs = this.#deps.clock.monotonicMs() + backOffMs
  }

  #condemn(place: Place, fault: OriginError | undefined): void {
    place.fault = fault ?? new OriginError("ORIGIN_UNAVAILABLE", "too many broken answers")
    this.#host.onCondemned(place.fault, place.ref)
    this.#host.wake()
  }

  /** Before the size is known: the whole, of which no more is read than is wanted. */
  #firstRun(): ByteRange | undefined {
    if (this.#streams.size > 0) return undefined
    return { start: 0, end: Number.POSITIVE_INFINITY }
  }

  #rangeOf(run: ByteRange): ByteRange | undefined {
    const layout = this.#host.layout()
    if (layout === undefined) return undefined
    if (run.start === 0 && run.end >= layout.count) return undefined
    const end = pieceRange(layout, Math.min(run.end, layout.count) - 1).end
    return { start: pieceRange(layout, run.start).start, end }
  }

  #nextRun(layout: PieceLayout, reader: number): ByteRange | undefined {
    const isRunning = this.#streams.size > 0
    if (layout.count === 0) return isRunning ? undefined : { start: 0, end: 0 }
    const view: GapView = {
      layout,
      segmentBytes: this.#host.segmentBytes(),
      mine: this.mine,
      has: (index) => this.#host.blob()?.pieces.has(index) ?? false,
      isCovered: (index) => this.#isCovered(index),
    }
    const run = nextRun(view, reader)
    // A second stream only where a reader waits and the first does not come by.
    return isRunning && run?.start !== reader ? undefined : run
  }

  #isCovered(index: number): boolean {
    for (const { at, run, writing } of this.#streams) {
      if (writing.has(index) || (index >= at && index < run.end)) return true
    }
    return false
  }
}

function isOpen({ isServed, fault }: Place): boolean {
  return isServed && fault === undefined
}

/** Faults that may be gone at the next try. */
function canPass(fault: OriginError): boolean {
  const { code } = fault
  return code === "ORIGIN_UNAVAILABLE" || code === "ORIGIN_CORRUPT" || code === "ORIGIN_STALLED"
}

function asOriginFault(error: unknown): OriginError {
  if (error instanceof OriginError) return error
  const message = `the origin failed: ${codeOf(error) ?? messageOf(error)}`
  return new OriginError("ORIGIN_UNAVAILABLE", message, { cause: error })
}
