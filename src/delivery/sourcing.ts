/**
 * Where the bytes of one flight come from: local, then peers, then the origin. It decides whose turn
 * it is and when another source is taken (protocol/origin-election.md).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import type { PeerId } from "../net/net.ts"
import type { StoreError } from "../store/errors.ts"
import type { PartialBlob } from "../store/store.ts"
import { segmentCount, segmentOf } from "./election.ts"
import { DeliveryError, OriginError } from "./errors.ts"
import { Fetchers } from "./fetchers.ts"
import type { Growth } from "./growth.ts"
import { Head } from "./head.ts"
import type { DeliveryDeps, DeliveryLimits } from "./limit.ts"
import { lookUp } from "./look-up.ts"
import type { OriginBody, OriginRef } from "./origin.ts"
import type { OriginMemory } from "./origin-memory.ts"
import { OriginPull, type OriginSlots } from "./origin-pull.ts"
import type { OriginTraffic } from "./origin-traffic.ts"
import type { ElectionRights } from "./rights.ts"

/** Segments from the reader onwards that have a fetcher at the same time. */
const SEGMENTS_AHEAD = 8
/** So long the first segment is brought alone, unless it is here sooner. */
const BEGINNING_MS = 300
/**
 * For a blob as short as that one lost packet of one reader is what all others wait for, and a copy for
 * each of them costs the origin next to nothing: it is asked for sooner.
 */
const TINY_BYTES_MAX = 4 * 1024
/** Longer than any blob. */
const WHOLE_BYTES = 2 * BLOB_BYTES_MAX

/** Where the counts of all flights go. */
export interface FlightMeters {
  received(source: "peers" | "origin", bytes: number): void
  originFault(code: string): void
  hedged(): void
}

/** What flights share. */
export interface FlightDeps extends DeliveryDeps {
  readonly slots: OriginSlots
  readonly memory: OriginMemory
  readonly traffic: OriginTraffic
  readonly meters: FlightMeters
  readonly isMember: (peer: PeerId) => boolean
  readonly rights: ElectionRights
}

/** What the sources need of their flight. */
export interface SourcingHost {
  readonly digest: Digest
  readonly growth: Growth
  /** Aborted at the end of the flight. */
  readonly signal: AbortSignal
  /** The piece that a client reads next; 0 if none does. */
  readerPiece(): number
  /** When something last came in, from any source; monotonic. */
  movedAtMs(): number
  /** Where a reader begins that has nothing yet; undefined when there is none. */
  beginningBytes(): number | undefined
  move(): void
  /** There is more of the first bytes: readers look again. */
  onHeadGrown(): void
  onHeader(answer: OriginBody, ref: OriginRef): Promise<PartialBlob | undefined>
  onStoreFault(error: StoreError): void
  /** What an elected fetcher brought is most likely wrong. */
  onCorrupt(): void
  wake(): void
}

/** What is wanted of the sources at one moment. */
export interface Want {
  readonly nowMs: number
  /** Whether somebody here waits for the blob. */
  readonly isWhole: boolean
  /** Segments that peers asked for. */
  readonly errands: readonly number[]
}

/** The sources of one flight. */
export class Sourcing {
  readonly pull: OriginPull
  readonly fetchers: Fetchers
  readonly head: Head
  readonly #deps: FlightDeps
  readonly #limits: DeliveryLimits
  readonly #host: SourcingHost
  #isHedged = false
  /** A fetcher said that the content is private there: then each node asks for itself. */
  #isElectionOff = false
  #lookUp: "none" | "running" | "done" = "none"
  /** What is brought first, and since when; undefined before there was anything to bring. */
  #beginning: { readonly segment: number; readonly sinceMs: number } | undefined

  constructor(deps: FlightDeps, limits: DeliveryLimits, host: SourcingHost) {
    this.#deps = deps
    this.#limits = limits
    this.#host = host
    this.pull = this.#createPull()
    this.fetchers = this.#createFetchers()
    this.head = this.#createHead()
  }

  /** Starts what is to be started. */
  plan({ nowMs, isWhole, errands }: Want): void {
    const { growth } = this.#host
    if (isWhole) this.#hedge(nowMs)
    // Private content is brought for nobody else.
    const wanted = new Set(growth.isPrivate ? [] : errands.map((one) => this.#known(one)))
    const isOriginDue = isWhole && (this.#isHedged || !this.hasCompleteHolder)
    const hasRef = this.pull.ref !== undefined
    if (isOriginDue && hasRef) for (const segment of this.#segmentsDue(nowMs)) wanted.add(segment)
    if (hasRef) {
      if (this.#isAlone()) this.fetchers.takeOver([...wanted])
      this.fetchers.plan([...wanted])
    }
    this.pull.mine = new Set([...wanted].filter((segment) => this.fetchers.isSelf(segment)))
    if (this.pull.isMetered && !this.pull.isUsable) this.pull.interrupt()
    this.#beginHead()
    // First the few bytes that a client waits for: behind segments on one slow link they come late.
    if (!this.head.isComing(nowMs)) this.pull.pump(this.#host.readerPiece())
    const isBrought = errands.some((segment) => this.isLeft(segment))
    growth.torrent?.setFetching(isWhole || isBrought)
    if (this.#lookUp === "none" && isWhole && !this.#hasSource()) void this.#findHolders()
  }

  /** Whether somebody has shown that the blob, or a part of it, can be had. */
  get isPromising(): boolean {
    const { digest } = this.#host
    if (this.#deps.store.stat(digest) !== undefined || this.pull.hasAnswered) return true
    return this.fetchers.hasPromise || this.#deps.swarm.holders(digest).length > 0
  }

  /** Whether there is nothing left that could move. */
  get isHopeless(): boolean {
    return !this.#hasSource() && this.#lookUp !== "running"
  }

  missingCount(segment: number): number {
    return this.#host.growth.missingCount(this.#known(segment), this.segmentBytes)
  }

  /** Whether this node reads a segment from its own origin at this moment. */
  isReading(segment: number): boolean {
    return this.fetchers.isSelf(this.#known(segment)) && this.pull.isStreaming
  }

  /** Whether a segment was left to a peer. */
  isLeft(segment: number): boolean {
    return this.fetchers.isPeer(this.#known(segment))
  }

  /** Undefined: as the blob's size gives. What knows no ranges is one segment. */
  get segmentBytes(): number | undefined {
    const { ref } = this.pull
    const isWhole = ref !== undefined && this.#deps.memory.isRangeless(ref)
    return isWhole ? WHOLE_BYTES : this.#limits.segmentBytes
  }

  /** Gives the segment that this node takes a peer's for, which may not know yet that there is one. */
  #known(segment: number): number {
    return this.segmentBytes === WHOLE_BYTES ? 0 : segment
  }

  /** The whole was wrong: others are to fetch, or this node trusts its own origin alone. */
  startOver({ isOwnOnly }: { isOwnOnly: boolean }): void {
    this.fetchers.startOver()
    if (!isOwnOnly || !this.pull.isUsable) return
    this.#isHedged = true
    this.#host.growth.leaveSwarm()
    this.fetchers.takeOver(this.#segmentsAhead())
  }

  /** Why nothing comes; the origin's reason wins. */
  reason({ mismatchCount }: { mismatchCount: number }): Error {
    const { digest, growth } = this.#host
    const { pull, fetchers } = this
    const fault = pull.fault()
    if (fault !== undefined) return fault
    const isAsked = pull.isStreaming || fetchers.isPending
    if (pull.isUsable && isAsked && !pull.hasAnswered) {
      return new OriginError("ORIGIN_STALLED", "the origin does not answer")
    }
    if (this.#isMetered()) return metered(digest)
    if (mismatchCount > 0) return new DeliveryError("BLOB_MISMATCH", `what came is not ${digest}`)
    if (fetchers.refusal !== undefined) return fetchers.refusal
    const isKnown = (growth.blob?.pieces.count ?? 0) > 0
    if (isKnown || this.#deps.swarm.holders(digest).length > 0) {
      return new DeliveryError("BLOB_UNAVAILABLE", `nobody gives ${digest} now`)
    }
    const { ref } = pull
    if (ref !== undefined && !this.#deps.origin.serves(ref)) {
      return new OriginError("ORIGIN_FORBIDDEN", `${ref.registry} is not configured here`)
    }
    return new DeliveryError("BLOB_UNKNOWN", `nobody has ${digest}`)
  }

  /** How long somebody who brings a part may stand still: a second reader makes a full link fuller. */
  #patienceMs(): number {
    const { stallMs, busyStallMs } = this.#limits
    return this.#deps.memory.isBusy(this.pull.ref) ? busyStallMs : stallMs
  }

  /** Whether the way to some source is metered, which is why it is not asked. */
  #isMetered(): boolean {
    return this.pull.isMetered || this.#deps.swarm.isWithheld(this.#host.digest)
  }

  stop(): void {
    this.head.end()
    this.pull.stop()
  }

  /** Nothing comes from those who should give: this node goes to its origin itself. */
  #hedge(nowMs: number): void {
    if (this.pull.ref === undefined) return
    const { stallMs } = this.#limits
    const stalledMs = nowMs - this.#host.movedAtMs()
    if (!this.#isHedged && stalledMs >= stallMs && this.hasCompleteHolder) {
      this.#isHedged = true
      this.#deps.meters.hedged()
      if (this.pull.isUsable) this.fetchers.takeOver(this.#segmentsAhead())
    }
    const usefulCount = this.#host.growth.torrent?.usefulSourceCount() ?? 0
    const isPatient = usefulCount === 0 && this.fetchers.isMoving(nowMs)
    const { sizeBytes } = this.#host.growth
    const isTiny = sizeBytes !== undefined && sizeBytes <= TINY_BYTES_MAX
    const patienceMs = isTiny ? stallMs / 2 : 2 * this.#patienceMs()
    if (stalledMs < patienceMs || isPatient || !this.pull.isUsable) return
    const others = this.#segmentsAhead().filter((segment) => !this.fetchers.isSelf(segment))
    if (others.length === 0) return
    this.#deps.meters.hedged()
    this.fetchers.takeOver(others)
  }

  /**
   * The next segments, at first one alone: when many nodes begin at one moment, segments would fill the
   * origin's link before the last of them has the few bytes that its client waits for; and one segment
   * fills it as well as eight do.
   */
  #segmentsDue(nowMs: number): readonly number[] {
    const ahead = this.#segmentsAhead()
    this.#beginning ??= this.#begin(ahead[0] ?? 0, nowMs)
    const { segment, sinceMs } = this.#beginning
    const isOver = nowMs - sinceMs >= BEGINNING_MS || !ahead.includes(segment)
    return isOver || this.#isAlone() ? ahead : [segment]
  }

  #begin(segment: number, nowMs: number): { readonly segment: number; readonly sinceMs: number } {
    this.#deps.clock.after(BEGINNING_MS, () => {
      if (!this.#host.signal.aborted) this.#host.wake()
    })
    return { segment, sinceMs: nowMs }
  }

  /** The next segments with something missing, from the reader onwards. */
  #segmentsAhead(): number[] {
    const { layout } = this.#host.growth
    if (layout === undefined) return [0]
    const { segmentBytes } = this
    const count = segmentCount(layout.sizeBytes, segmentBytes)
    const reader = Math.min(this.#host.readerPiece(), Math.max(0, layout.count - 1))
    const first = segmentOf(layout, reader, segmentBytes)
    const ahead: number[] = []
    for (let step = 0; step < count && ahead.length < SEGMENTS_AHEAD; step++) {
      const segment = (first + step) % count
      if (layout.count === 0 || this.missingCount(segment) > 0) ahead.push(segment)
    }
    return ahead
  }

  /** Private content, and a node without peers: there is nobody to elect. */
  #isAlone(): boolean {
    if (!this.pull.isUsable) return false
    if (this.#host.growth.isPrivate || this.#isElectionOff) return true
    const isElected = this.#memberTest()
    return !this.#deps.net.peers().some(({ id }) => isElected(id))
  }

  #members(): readonly PeerId[] {
    const peers = this.#deps.net.peers()
    return peers.map(({ id }) => id).filter(this.#memberTest())
  }

  /** Gives what says whether a connected peer takes part in the election. */
  #memberTest(): (peer: PeerId) => boolean {
    const { memory, traffic, isMember, rights } = this.#deps
    const { ref } = this.pull
    const mayRead = (id: PeerId) => isMember(id) && (ref === undefined || rights.mayRead(id, ref))
    // What one brings that is beyond a metered way could not be taken from it.
    return (id) => mayRead(id) && !memory.isSilent(id) && !traffic.isMeteredPeer(id)
  }

  /** Whether a connected peer says that it has all of the blob, with the size that is believed. */
  get hasCompleteHolder(): boolean {
    const size = this.#host.growth.sizeBytes
    return this.#deps.swarm
      .holders(this.#host.digest)
      .some((holder) => holder.isComplete && (size === undefined || holder.sizeBytes === size))
  }

  #partialHolders(): readonly PeerId[] {
    const holders = this.#deps.swarm.holders(this.#host.digest)
    // Standard clients fetch from no origin: there is nothing to ask them about.
    const partial = holders.filter(({ isComplete, isPlain }) => !isComplete && isPlain !== true)
    return partial.map((holder) => holder.peer)
  }

  #hasSource(): boolean {
    if (this.pull.isUsable || this.pull.isStreaming || this.fetchers.isPending) return true
    return this.#deps.swarm.holders(this.#host.digest).length > 0
  }

  /** Looks beyond the connected peers, and connects to who is found. */
  async #findHolders(): Promise<void> {
    this.#lookUp = "running"
    const { sizes } = this.#host.growth
    await lookUp(this.#deps, this.#host.digest, {
      signal: this.#host.signal,
      onHolder: ({ sizeBytes, peer }) => sizes.add(sizeBytes, "peer", peer),
    })
    this.#lookUp = "done"
    this.#host.wake()
  }

  #createPull(): OriginPull {
    const { digest, growth } = this.#host
    return new OriginPull(this.#deps, this.#limits, {
      digest,
      layout: () => growth.layout,
      segmentBytes: () => this.segmentBytes,
      blob: () => growth.blob,
      torrent: () => growth.torrent,
      onHeader: (answer, ref) => this.#host.onHeader(answer, ref),
      onPiece: (index) => growth.torrent?.announcePiece(index),
      onChunk: (chunk, positionBytes, ref) => {
        this.head.pour(positionBytes, chunk, ref)
        this.#onOriginBytes(chunk.length)
      },
      onFault: (fault) => this.#deps.meters.originFault(fault.code),
      onRangeless: (ref) => {
        this.#deps.memory.noteRangeless(ref)
        this.#host.wake()
      },
      onCondemned: (fault, ref) => this.#deps.memory.noteFault(ref, digest, fault),
      onStoreFault: (error) => this.#host.onStoreFault(error),
      wake: () => this.#host.wake(),
    })
  }

  #onOriginBytes(count: number): void {
    this.#host.move()
    this.#deps.meters.received("origin", count)
  }

  /** A client's first bytes come from this node's own origin, whoever is elected. */
  #beginHead(): void {
    const positionBytes = this.#host.beginningBytes()
    if (positionBytes === undefined || this.hasCompleteHolder) return
    this.head.begin(positionBytes)
    const { layout } = this.#host.growth
    const { start } = this.head
    const { ref } = this.pull
    if (layout === undefined || start === undefined || ref === undefined) return
    const piece = Math.floor(start / layout.lengthBytes)
    const isLast = piece >= layout.count - 1
    // What this node reads itself brings the head with it.
    const isOwn = !isLast && this.fetchers.isSelf(segmentOf(layout, piece, this.segmentBytes))
    if (!isLast && !isOwn && this.pull.isUsable) this.head.ask(ref)
  }

  #createHead(): Head {
    const { digest, growth } = this.#host
    const { meters, memory, log } = this.#deps
    return new Head(this.#deps, this.#limits, {
      digest,
      sizeBytes: () => growth.sizeBytes,
      has: (positionBytes) => {
        const { blob } = growth
        return blob?.pieces.has(Math.floor(positionBytes / blob.layout.lengthBytes)) === true
      },
      onHeader: async (answer, ref) => (await this.#host.onHeader(answer, ref)) !== undefined,
      onBytes: (count) => {
        this.pull.receivedBytes += count
        this.#onOriginBytes(count)
      },
      onFault: (fault, ref) => {
        log.warn({ digest, registry: ref.registry, code: fault.code }, fault.message)
        meters.originFault(fault.code)
        memory.noteFault(ref, digest, fault)
      },
      onGrown: () => this.#host.onHeadGrown(),
      onOver: () => this.#host.wake(),
    })
  }

  #createFetchers(): Fetchers {
    const { digest, growth } = this.#host
    return new Fetchers(this.#deps, this.#limits, {
      digest,
      ref: () => this.pull.ref,
      sizeBytes: () => growth.sizeBytes,
      canFetch: () => this.pull.isUsable,
      members: () => this.#members(),
      partialHolders: () => this.#partialHolders(),
      missingCount: (segment) => this.missingCount(segment),
      movedAtMs: () => this.#host.movedAtMs(),
      patienceMs: () => this.#patienceMs(),
      signal: this.#host.signal,
      onSize: (sizeBytes, peer) => growth.sizes.add(sizeBytes, "peer", peer),
      onPrivate: () => {
        this.#isElectionOff = true
        this.#host.wake()
      },
      onCorrupt: () => this.#host.onCorrupt(),
      onSilent: (peer) => this.#deps.memory.noteSilent(peer),
      wake: () => this.#host.wake(),
    })
  }
}

function metered(digest: Digest): DeliveryError {
  return new DeliveryError(
    "LINK_METERED",
    `${digest} is not on the LAN, and nothing is fetched over a metered link; end that with: ` +
      "sealift limits --no-metered",
  )
}
