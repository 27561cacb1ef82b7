/**
 * The first bytes that a client waits for, straight from this node's own origin: nobody is elected for
 * them, and no piece has to be whole before they go out (docs/decisions/0015-stampede-over-slow-links.md).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { PIECE_BYTES_MIN } from "../core/limits.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { OriginError } from "./errors.ts"
import type { DeliveryLimits } from "./limit.ts"
import type { OriginBody, OriginRef } from "./origin.ts"
import type { PullDeps } from "./origin-pull.ts"

/** Kept of what the own origin sends first; also when its stream brings more. */
const HEAD_BYTES_MAX = 64 * 1024
/** All nodes ask for a head: a hundred of them cost the origin less than a twentieth of the blob. */
const HEAD_SHARE = 2_048
/** A shorter head is not worth a request of its own, nor a stream that breaks where an error could be told. */
const HEAD_BYTES_MIN = 2 * 1024
/** This node's own reading of segments waits so long for a head that is asked for. */
const FIRST_MS_MAX = 300

/** What a head needs of its flight. */
export interface HeadHost {
  readonly digest: Digest
  sizeBytes(): number | undefined
  /** Whether the piece that a byte belongs to is here. */
  has(positionBytes: number): boolean
  /** The origin answered. @returns whether its bytes may be kept */
  onHeader(answer: OriginBody, ref: OriginRef): Promise<boolean>
  onBytes(count: number): void
  onFault(fault: OriginError, ref: OriginRef): void
  /** There is more of it to read. */
  onGrown(): void
  /** What was asked for is here, or will not come. */
  onOver(): void
}

/** A part of a head. */
export interface HeadBytes {
  readonly bytes: Uint8Array
  /** These bytes turned out not to be the blob's. */
  blame(): void
}

/** How many bytes each node asks its own origin for, of a blob of that size; 0: none. */
export function headBytes(sizeBytes: number): number {
  const bytes = Math.min(Math.floor(sizeBytes / HEAD_SHARE), HEAD_BYTES_MAX)
  return bytes < HEAD_BYTES_MIN ? 0 : bytes
}

/** The head of one flight: at most one, where its first reader begins. */
export class Head {
  readonly #deps: PullDeps
  readonly #limits: DeliveryLimits
  readonly #host: HeadHost
  readonly #stopping = new AbortController()
  #ref: OriginRef | undefined
  #start: number | undefined
  /** What came, in order; frozen once written. */
  #bytes = new Uint8Array(0)
  #isOver = false
  /** When the origin was asked, by the monotonic clock. */
  #askedMs: number | undefined
  #isReading = false

  constructor(deps: PullDeps, limits: DeliveryLimits, host: HeadHost) {
    this.#deps = deps
    this.#limits = limits
    this.#host = host
  }

  /** A reader begins: what the own origin sends from there on is kept for it. */
  begin(positionBytes: number): void {
    this.#start ??= positionBytes
  }

  /** Where it begins; undefined while there is no reader, and once it is of no use. */
  get start(): number | undefined {
    return this.#isOver ? undefined : this.#start
  }

  /** Asks the origin, unless it was asked or there is too little to ask for. */
  ask(ref: OriginRef): void {
    const { start } = this
    const sizeBytes = this.#host.sizeBytes()
    if (start === undefined || sizeBytes === undefined || this.#askedMs !== undefined) return
    const lengthBytes = Math.min(headBytes(sizeBytes), this.#roomBytes(start))
    if (lengthBytes === 0 || this.#bytes.length > 0 || this.#host.has(start)) return
    const { memory, slots } = this.#deps
    const isVain = memory.isRangeless(ref) || memory.fault(ref, this.#host.digest) !== undefined
    if (isVain || !slots.tryTake()) return
    this.#askedMs = this.#deps.clock.monotonicMs()
    this.#isReading = true
    void this.#read(ref, { start, end: start + lengthBytes }).finally(() => {
      slots.free()
      this.#isReading = false
      this.#host.onOver()
    })
  }

  /** Whether it was asked for just now and is on its way: what comes behind it on a slow link should wait. */
  isComing(nowMs: number): boolean {
    return this.#isReading && nowMs - (this.#askedMs ?? nowMs) < FIRST_MS_MAX
  }

  /** Takes in bytes that the own origin sent, whoever asked it; only what continues the head. */
  pour(positionBytes: number, chunk: Uint8Array, ref: OriginRef): void {
    const { start } = this
    if (start === undefined) return
    const end = start + this.#bytes.length
    if (positionBytes > end || positionBytes + chunk.length <= end) return
    const fresh = chunk.subarray(
      end - positionBytes,
      start + this.#roomBytes(start) - positionBytes,
    )
    if (fresh.length === 0) return
    const grown = new Uint8Array(this.#bytes.length + fresh.length)
    grown.set(this.#bytes)
    grown.set(fresh, this.#bytes.length)
    this.#ref = ref
    this.#bytes = grown
    this.#host.onGrown()
  }

  /** Gives a copy of what is here of a range from its start on; undefined when that is nothing. */
  from(start: number, end: number): Uint8Array | undefined {
    if (this.#start === undefined || this.#isOver || start < this.#start) return undefined
    if (this.#bytes.length < Math.min(HEAD_BYTES_MIN, this.#roomBytes(this.#start)))
      return undefined
    const bytes = this.#bytes.slice(start - this.#start, Math.max(start, end) - this.#start)
    return bytes.length === 0 ? undefined : bytes
  }

  /** The piece is here: the rest is read from the disk. */
  onPiece(): void {
    if (this.start !== undefined && this.#host.has(this.start)) this.#stopping.abort(unneeded())
  }

  /** What went out was not the blob's. */
  blame(): void {
    if (this.#ref === undefined) return
    this.#host.onFault(
      new OriginError("ORIGIN_CORRUPT", "the first bytes that the origin sent are not the blob's"),
      this.#ref,
    )
  }

  /** Nothing more is taken in or given out. */
  end(): void {
    this.#isOver = true
    this.#bytes = new Uint8Array(0)
    this.#stopping.abort(unneeded())
  }

  /** It ends with the piece: no piece is shorter than the least length but the last, which has none. */
  #roomBytes(start: number): number {
    return Math.min(HEAD_BYTES_MAX, PIECE_BYTES_MIN - (start % PIECE_BYTES_MIN))
  }

  async #read(ref: OriginRef, range: { start: number; end: number }): Promise<void> {
    const { clock, traffic, origin, log } = this.#deps
    const { signal } = this.#stopping
    const { digest } = this.#host
    const late = new OriginError("ORIGIN_STALLED", "the origin does not send the head")
    const cancel = clock.after(this.#limits.stallMs, () => this.#stopping.abort(late))
    const throttle = traffic.throttle(ref)
    let body: AsyncIterator<Uint8Array> | undefined
    try {
      const answer = await untilAborted(origin.fetchBlob(ref, digest, { range, signal }), signal)
      body = answer.body[Symbol.asyncIterator]()
      const isPart = answer.range.start === range.start && answer.range.end === range.end
      if (!isPart) this.#deps.memory.noteRangeless(ref)
      if (!isPart || answer.sizeBytes !== this.#host.sizeBytes()) return
      if (!(await this.#host.onHeader(answer, ref))) return
      for (let at = range.start; at < range.end; ) {
        await throttle?.ready(signal)
        const { value: chunk, done } = await untilAborted(body.next(), signal)
        if (done === true) return
        throttle?.came(chunk.length)
        this.#host.onBytes(chunk.length)
        this.pour(at, chunk, ref)
        at += chunk.length
      }
    } catch (error) {
      // The election brings the blob all the same, and tells what is wrong with the origin.
      log.debug({ digest, error: messageOf(error) }, "no head")
    } finally {
      cancel()
      throttle?.end()
      this.#stopping.abort(unneeded())
      void body?.return?.()?.catch(() => {})
    }
  }
}

function unneeded(): OriginError {
  return new OriginError("ORIGIN_UNAVAILABLE", "no longer needed")
}
