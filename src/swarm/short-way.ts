/**
 * The short way of a blob of one piece that a connected peer has whole: one `sl_open`, its requests and
 * their blocks, and the digest says whether they are right. Nothing is chosen, shared out or judged; what
 * does not come this way at once is left to a torrent, which does all that.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, rawOf } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { BLOCK_BYTES, STALL_MS_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { PartialBlob } from "../store/store.ts"
import type { BlockLink, BlockSink } from "./block-link.ts"
import type { WireFault } from "./errors.ts"
import type { ChannelSession } from "./session.ts"
import type { Flow } from "./shaper.ts"
import type { Holder } from "./swarm.ts"
import type { WasteReason } from "./waste.ts"
import { PIECE_HEAD_BYTES } from "./wire-messages.ts"

/** A connection is asked for so many times its own depth; what is beyond that waits longer anyway. */
const DEPTHS_MAX = 8
/** A connection over which no block came for this time is slow … */
const QUIET_MS = 500
/** … and its peer, and one that sent something wrong, is not asked this way for a while. */
const REST_MS = 60_000
const RESTING_MAX = 1_024

export interface ShortWaysDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Gives the open session with a peer that has room. */
  ready(peer: PeerId): ChannelSession | undefined
  onDownloaded(bytes: number): void
  onWasted(bytes: number, reason: WasteReason): void
  onGoodPiece(peer: PeerId): void
}

/** What is under way over one connection. */
interface Way {
  readonly fetches: Set<ShortFetch>
  blockCount: number
  movedMs: number
}

/** All short ways of one node. */
export class ShortWays {
  readonly #deps: ShortWaysDeps
  readonly #ways = new Map<ChannelSession, Way>()
  /** Until when peers are not asked this way. */
  readonly #restingMs = new Map<PeerId, number>()

  constructor(deps: ShortWaysDeps) {
    this.#deps = deps
  }

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#ways.size > 0
  }

  /**
   * Fetches a blob of one piece.
   * @param holders - who has it; those that cannot be asked at once are passed over
   * @returns who gave it; undefined: it did not come this way
   */
  async bring(blob: PartialBlob, holders: readonly Holder[]): Promise<PeerId | undefined> {
    if (blob.layout.count !== 1 || blob.pieces.isFull) return undefined
    const session = this.#choose(blob, holders)
    if (session === undefined) return undefined
    const buffer = blob.tryTakeBuffer()
    if (buffer === undefined) return undefined
    try {
      if (!(await this.#receive(session, blob, buffer))) return undefined
      return (await this.#write(blob, buffer, session.peer)) ? session.peer : undefined
    } finally {
      blob.returnBuffer(buffer)
    }
  }

  /** Ends what does not move. */
  tick(nowMs: number): void {
    for (const [session, { fetches, movedMs }] of this.#ways) {
      const isQuiet = nowMs - movedMs > QUIET_MS
      if (isQuiet) this.#rest(session.peer)
      for (const fetch of [...fetches]) {
        if (isQuiet || nowMs - fetch.sinceMs > STALL_MS_MAX) fetch.end(false)
      }
    }
  }

  close(): void {
    for (const { fetches } of [...this.#ways.values()]) {
      for (const fetch of [...fetches]) fetch.end(false)
    }
  }

  /** Gives the session over which least is under way, of those that have room. */
  #choose(blob: PartialBlob, holders: readonly Holder[]): ChannelSession | undefined {
    let best: ChannelSession | undefined
    let bestCount = Number.POSITIVE_INFINITY
    for (const { peer, isComplete, sizeBytes, isPlain } of holders) {
      if (!isComplete || isPlain === true || sizeBytes !== blob.layout.sizeBytes) continue
      const session = this.#isResting(peer) ? undefined : this.#deps.ready(peer)
      if (session === undefined || session.isClosed) continue
      const count = this.#ways.get(session)?.blockCount ?? 0
      if (count >= bestCount || count >= session.pace.depth * DEPTHS_MAX) continue
      best = session
      bestCount = count
    }
    return best
  }

  #receive(session: ChannelSession, blob: PartialBlob, buffer: Uint8Array): Promise<boolean> {
    const flow = session.traffic?.downloads(() => {})
    // Who has to wait for a turn under a limit is better off as a torrent.
    if (flow?.allowance() === 0) {
      flow.close()
      return Promise.resolve(false)
    }
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const way = this.#ways.get(session) ?? { fetches: new Set(), blockCount: 0, movedMs: nowMs }
    this.#ways.set(session, way)
    return new Promise((resolve) => {
      const { sizeBytes } = blob.layout
      const fetch = new ShortFetch(
        { buffer, sizeBytes, flow, nowMs },
        {
          onBlock: (block, lengthBytes) => {
            way.movedMs = clock.monotonicMs()
            session.pace.onBlock(fetch, 0, block * BLOCK_BYTES, lengthBytes, way.movedMs)
            this.#deps.onDownloaded(lengthBytes)
          },
          onEnd: (isWhole) => {
            way.fetches.delete(fetch)
            way.blockCount -= fetch.blockCount
            if (way.fetches.size === 0) this.#ways.delete(session)
            session.pace.onDone(fetch)
            if (!isWhole) this.#deps.onWasted(fetch.receivedBytes, "broken-off")
            resolve(isWhole)
          },
        },
      )
      way.fetches.add(fetch)
      way.blockCount += fetch.blockCount
      session.pace.onAsked(fetch, 0, 0, nowMs)
      session.open(blob.digest, (link) => fetch.begin(link))
    })
  }

  async #write(blob: PartialBlob, buffer: Uint8Array, peer: PeerId): Promise<boolean> {
    const { digest, layout } = blob
    try {
      const outcome = await blob.writePiece(0, buffer.subarray(0, layout.sizeBytes), rawOf(digest))
      if (outcome.kind === "written") {
        this.#deps.onGoodPiece(peer)
        return true
      }
      this.#deps.onWasted(layout.sizeBytes, "refused")
      this.#rest(peer)
    } catch (error) {
      this.#deps.onWasted(layout.sizeBytes, "discarded")
      this.#warn(digest, error)
    }
    return false
  }

  #warn(digest: Digest, error: unknown): void {
    this.#deps.log.warn({ digest, error: messageOf(error) }, "a piece could not be written")
  }

  #rest(peer: PeerId): void {
    this.#restingMs.delete(peer)
    this.#restingMs.set(peer, this.#deps.clock.monotonicMs() + REST_MS)
    const [oldest] = this.#restingMs.keys()
    if (this.#restingMs.size > RESTING_MAX && oldest !== undefined) this.#restingMs.delete(oldest)
  }

  #isResting(peer: PeerId): boolean {
    const untilMs = this.#restingMs.get(peer)
    if (untilMs === undefined) return false
    if (untilMs > this.#deps.clock.monotonicMs()) return true
    this.#restingMs.delete(peer)
    return false
  }
}

/** One blob on its short way. Of its blocks each is asked for once. */
export class ShortFetch implements BlockSink {
  readonly sinceMs: number
  readonly blockCount: number
  receivedBytes = 0
  readonly #buffer: Uint8Array
  readonly #sizeBytes: number
  readonly #flow: Flow | undefined
  readonly #events: ShortFetchEvents
  #link: BlockLink | undefined
  /** One bit for each block that came or is coming; a piece of the least length has sixteen. */
  #takenBits = 0
  #receiving = -1
  #isEnded = false

  constructor(
    options: { buffer: Uint8Array; sizeBytes: number; flow: Flow | undefined; nowMs: number },
    events: ShortFetchEvents,
  ) {
    this.#buffer = options.buffer
    this.#sizeBytes = options.sizeBytes
    this.#flow = options.flow
    this.sinceMs = options.nowMs
    this.blockCount = Math.ceil(options.sizeBytes / BLOCK_BYTES)
    this.#events = events
  }

  /** Asks for all of it. */
  begin(link: BlockLink): this {
    this.#link = link
    this.#flow?.reserve(this.#sizeBytes + this.blockCount * PIECE_HEAD_BYTES)
    for (let block = 0; block < this.blockCount; block++) {
      link.request(0, block * BLOCK_BYTES, this.#lengthOf(block))
    }
    return this
  }

  /** Ends it. @param isWhole - whether all blocks are here */
  end(isWhole: boolean): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#flow?.close()
    if (this.#receiving >= 0) this.#link?.discardBlock()
    this.#link?.close()
    this.#events.onEnd(isWhole)
  }

  onOpened(opened: { sizeBytes: number; isChoked: boolean }): void {
    // A torrent waits for its turn; here nobody does.
    if (opened.isChoked || opened.sizeBytes !== this.#sizeBytes) this.end(false)
  }

  onHave(): undefined {}

  onLost(): undefined {
    this.end(false)
  }

  onSuggested(): undefined {}

  onChoked(isChoked: boolean): void {
    if (isChoked) this.end(false)
  }

  onRejected(): void {
    this.end(false)
  }

  onDropped(): void {
    this.end(false)
  }

  onBlock(index: number, begin: number, length: number): Uint8Array | undefined {
    if (this.#isEnded) return undefined
    const block = begin / BLOCK_BYTES
    const isAsked = index === 0 && Number.isInteger(block) && block < this.blockCount
    if (!isAsked || (this.#takenBits & (1 << block)) !== 0 || length !== this.#lengthOf(block)) {
      this.#link?.fail({ code: "LIMIT_EXCEEDED", message: "a block that was not asked for" })
      return undefined
    }
    this.#takenBits |= 1 << block
    this.#receiving = block
    return this.#buffer.subarray(begin, begin + length)
  }

  onBlockEnd(): WireFault | undefined {
    const block = this.#receiving
    if (block < 0) return undefined
    this.#receiving = -1
    const lengthBytes = this.#lengthOf(block)
    this.receivedBytes += lengthBytes
    this.#flow?.release(lengthBytes + PIECE_HEAD_BYTES)
    this.#events.onBlock(block, lengthBytes)
    if (this.receivedBytes === this.#sizeBytes) this.end(true)
    return undefined
  }

  onBatch(): void {}

  onClosed(): void {
    this.end(false)
  }

  #lengthOf(block: number): number {
    return Math.min(BLOCK_BYTES, this.#sizeBytes - block * BLOCK_BYTES)
  }
}

/** What a fetch tells of itself. */
export interface ShortFetchEvents {
  onBlock(block: number, lengthBytes: number): void
  /** Called once. */
  onEnd(isWhole: boolean): void
}
