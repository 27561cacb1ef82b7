/**
 * The sources of one torrent: who is asked now, who is left alone and until when, who was proved bad.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import type { ActivePiece } from "./active-piece.ts"
import type { PiecePicker } from "./piece-picker.ts"
import type { Source, SourceEnd } from "./source.ts"
import type { SourceReport } from "./swarm.ts"

/** Most peers that one blob is fetched from at once. */
export const SOURCES_MAX = 32
const FOREVER_MS = Number.POSITIVE_INFINITY
/** For how long a source is left alone in this flight, by the reason why it ended. */
const STOP_MS: Readonly<Record<SourceEnd, number>> = {
  closed: 0,
  refused: 5_000,
  stalled: 30_000,
  "false-have": 60_000,
  "wrong-pieces": FOREVER_MS,
}

export class SourceRoster {
  readonly #clock: Clock
  readonly #picker: PiecePicker
  readonly #live = new Map<PeerId, Source>()
  /** What sources that ended have given. */
  readonly #gone = new Map<PeerId, SourceReport>()
  /** Until when peers are not asked, by the monotonic clock. */
  readonly #stoppedMs = new Map<PeerId, number>()
  readonly #guilty = new Set<PeerId>()

  constructor(deps: { clock: Clock; picker: PiecePicker }) {
    this.#clock = deps.clock
    this.#picker = deps.picker
  }

  /** The sources that are asked; a copy, since asking may end one. */
  all(): Source[] {
    return [...this.#live.values()]
  }

  get(peer: PeerId): Source | undefined {
    return this.#live.get(peer)
  }

  /** @param pendingCount - sessions that are being opened for more sources */
  canTake(peer: PeerId, pendingCount: number): boolean {
    if (this.#live.has(peer) || this.#live.size + pendingCount >= SOURCES_MAX) return false
    return this.isAble(peer)
  }

  /** Whether a peer is asked, or may be. */
  isAble(peer: PeerId): boolean {
    return this.#live.has(peer) || (this.#stoppedMs.get(peer) ?? 0) <= this.#clock.monotonicMs()
  }

  add(source: Source): void {
    this.#live.set(source.peer, source)
    this.#picker.addSource(source.pieces)
  }

  remove(source: Source, reason: SourceEnd): void {
    const { peer } = source
    this.#live.delete(peer)
    this.#picker.removeSource(source.pieces)
    if (source.receivedBytes > 0) this.#gone.set(peer, reportOf(source, this.#gone.get(peer)))
    if (this.#guilty.has(peer)) return
    this.#stoppedMs.set(peer, this.#clock.monotonicMs() + STOP_MS[reason])
  }

  /** A peer has something new: what it refused or failed before is forgotten. */
  forgive(peer: PeerId): void {
    if (this.#stoppedMs.get(peer) !== FOREVER_MS) this.#stoppedMs.delete(peer)
  }

  /** Those whose pieces were refused because of a wrong list get another chance. */
  forgiveAll(): void {
    for (const [peer, untilMs] of this.#stoppedMs) {
      if (untilMs === FOREVER_MS && !this.#guilty.has(peer)) this.#stoppedMs.delete(peer)
    }
    for (const source of this.all()) source.reconsider()
  }

  /** A peer was proved bad. */
  convict(peer: PeerId): void {
    this.#guilty.add(peer)
    this.#stoppedMs.set(peer, FOREVER_MS)
    this.#live.get(peer)?.end("wrong-pieces")
  }

  /** Whether pieces were refused that may have been right. */
  get isDisputed(): boolean {
    for (const [peer, untilMs] of this.#stoppedMs) {
      if (untilMs === FOREVER_MS && !this.#guilty.has(peer)) return true
    }
    return this.all().some((source) => source.hasDisputes)
  }

  isUseful(source: Source): boolean {
    return this.#picker.isUseful(source.pieces)
  }

  /** Whether no other source may be added. */
  get isFull(): boolean {
    return this.#live.size >= SOURCES_MAX
  }

  /** Those that answered, owe nothing and have nothing that is missing here. */
  useless(): readonly Source[] {
    return this.all().filter(
      (source) => source.isOpened && source.requests.count === 0 && !this.isUseful(source),
    )
  }

  usefulCount(): number {
    return this.all().filter((source) => this.isUseful(source)).length
  }

  reports(): readonly SourceReport[] {
    const reports = new Map(this.#gone)
    for (const source of this.#live.values()) {
      reports.set(source.peer, reportOf(source, this.#gone.get(source.peer)))
    }
    return [...reports.values()]
  }

  askAll(): void {
    if (this.#picker.missingCount === 0) return
    for (const source of this.#live.values()) source.ask()
  }

  /** Gives the fastest source that has a piece and was not asked for it. */
  fastestFor(piece: ActivePiece): Source | undefined {
    let fastest: Source | undefined
    for (const source of this.#live.values()) {
      if (!source.pieces.has(piece.index) || !source.isAskable || source.owes(piece)) continue
      if (source.score.rateBytes > (fastest?.score.rateBytes ?? 0)) fastest = source
    }
    return fastest
  }
}

function reportOf(source: Source, before: SourceReport | undefined): SourceReport {
  return {
    peer: source.peer,
    receivedBytes: source.receivedBytes + (before?.receivedBytes ?? 0),
    isComplete: source.pieces.isFull,
    rejectedPieces: source.rejectedPieces + (before?.rejectedPieces ?? 0),
  }
}
