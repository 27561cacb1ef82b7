/**
 * One blob on its way in, for however many who wait for it: when it is looked for, proved, mended,
 * and given up.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { PieceLayout } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobChange, PartialBlob } from "../store/store.ts"
import type { BlobRequest, FlightReport } from "./delivery.ts"
import { DeliveryError, FLIGHT_OVER, OriginError } from "./errors.ts"
import { Growth } from "./growth.ts"
import type { HeadBytes } from "./head.ts"
import { type Interest, readerInFront, windowFrom } from "./interest.ts"
import { type DeliveryLimits, TICK_MS } from "./limit.ts"
import type { OriginBody, OriginRef } from "./origin.ts"
import { Pulse } from "./pulse.ts"
import { type FlightDeps, Sourcing } from "./sourcing.ts"

/** How often the whole may come out wrong before the flight fails. */
const MISMATCHES_MAX = 5
/** After so many this node reads all that is missing from its own origin. */
const MISMATCHES_TRUSTING_MAX = 1
/** An errand ends unless the asker asks again within this time. */
const ERRAND_MS = 10_000

export type FlightState = FlightReport["state"] | "abandoned"

/** One flight. It ends by itself: complete, failed, or abandoned when nobody waits any more. */
export class Flight {
  readonly digest: Digest
  readonly sourcing: Sourcing
  readonly #deps: FlightDeps
  readonly #limits: DeliveryLimits
  readonly #onEnd: () => void
  readonly #pulse = new Pulse()
  readonly #growth: Growth
  readonly #interests = new Set<Interest>()
  /** Segments that others asked for, and until when. */
  readonly #errands = new Map<number, number>()
  readonly #stopping = new AbortController()
  readonly #unlisten: (() => void)[] = []
  #state: FlightState = "looking"
  #fault: unknown
  #isFinishing = false
  #isPlanning = false
  /** When a peer last said that this node has to wait for its turn. */
  #queuedAtMs = Number.NEGATIVE_INFINITY
  #mismatchCount = 0
  #progressAtMs: number
  #idleSinceMs: number
  #leftAtMs = Number.NEGATIVE_INFINITY
  #aimedPiece: number | undefined

  constructor(deps: FlightDeps, limits: DeliveryLimits, digest: Digest, onEnd: () => void) {
    this.#deps = deps
    this.#limits = limits
    this.digest = digest
    this.#onEnd = onEnd
    this.#progressAtMs = deps.clock.monotonicMs()
    this.#idleSinceMs = this.#progressAtMs
    this.#growth = new Growth(deps, digest, {
      wake: () => this.wake(),
      received: (bytes) => deps.meters.received("peers", bytes),
    })
    this.sourcing = this.#createSourcing()
    this.#listen()
  }

  get state(): FlightState {
    return this.#state
  }

  get isOver(): boolean {
    return this.#state !== "looking" && this.#state !== "fetching"
  }

  get isPrivate(): boolean {
    return this.#growth.isPrivate
  }

  get hasWaiters(): boolean {
    return this.#interests.size > 0
  }

  get errandCount(): number {
    return this.#errands.size
  }

  /** Bytes that are here, or on their way from this node's own origin; grows while it works. */
  get doneBytes(): number {
    const doneBytes = this.#growth.haveBytes + this.sourcing.pull.pendingBytes
    return Math.min(this.#growth.sizeBytes ?? 0, doneBytes)
  }

  /** The size to go by; undefined while nobody told one. */
  get sizeBytes(): number | undefined {
    return this.#growth.sizeBytes
  }

  get layout(): PieceLayout | undefined {
    return this.#growth.layout
  }

  /** The size, once the blob is made or complete: what a client may be told. */
  get settledSizeBytes(): number | undefined {
    if (this.#state === "complete") return this.#deps.store.stat(this.digest)?.layout.sizeBytes
    return this.#growth.blob?.layout.sizeBytes
  }

  /** Adds what a request knows. */
  learn(request: BlobRequest): void {
    if (request.sizeBytes !== undefined) this.#growth.sizes.add(request.sizeBytes, "request")
    if (request.origin !== undefined) this.learnRef(request.origin)
  }

  /** What a peer believes the size to be. */
  learnHint(sizeBytes: number, peer: PeerId): void {
    this.#growth.sizes.add(sizeBytes, "peer", peer)
  }

  learnRef(ref: OriginRef): void {
    this.sourcing.pull.addRef(ref)
    const isNew =
      this.#growth.blob === undefined && this.#deps.store.stat(this.digest) === undefined
    if (isNew && this.#deps.memory.access(ref) === "private") this.#growth.isPrivate = true
  }

  /** Whether it was begun, or goes on, for what a repository has. */
  isOf(ref: OriginRef): boolean {
    return this.sourcing.pull.hasRef(ref)
  }

  join(interest: Interest): void {
    this.#interests.add(interest)
    interest.waitingSinceMs ??= this.#deps.clock.monotonicMs()
    this.wake()
  }

  leave(interest: Interest): void {
    if (!this.#interests.delete(interest)) return
    this.#leftAtMs = this.#deps.clock.monotonicMs()
    this.wake()
  }

  /** Begins, or goes on, to bring a segment for a peer. */
  addErrand(segment: number, peer: PeerId): void {
    this.#errands.set(segment, this.#deps.clock.monotonicMs() + ERRAND_MS)
    this.sourcing.fetchers.onAskedBy(peer, segment)
    this.wake()
  }

  dropErrand(segment: number): void {
    this.#errands.delete(segment)
    this.#idleSinceMs = this.#deps.clock.monotonicMs()
  }

  /** Whether all pieces of a segment are here. */
  hasSegment(segment: number): boolean {
    return this.#growth.blob !== undefined && this.sourcing.missingCount(segment) === 0
  }

  /**
   * Waits until `look` gives something.
   * @throws why the flight failed, why this interest failed, or the signal's reason
   */
  async until<T>(
    look: () => T | undefined,
    options: { signal: AbortSignal; interest?: Interest | undefined },
  ): Promise<T> {
    const { interest, signal } = options
    // One listener however often it looks.
    const onAbort = () => this.#pulse.fire()
    signal.addEventListener("abort", onAbort, { once: true })
    try {
      for (;;) {
        if (interest?.fault !== undefined) throw interest.fault.error
        if (this.#state === "failed") throw this.#fault
        const found = look()
        if (found !== undefined) {
          if (interest !== undefined) interest.waitingSinceMs = undefined
          return found
        }
        if (this.isOver) throw new DeliveryError("BLOB_UNAVAILABLE", "the flight is over")
        if (interest !== undefined) interest.waitingSinceMs ??= this.#deps.clock.monotonicMs()
        this.#aim()
        signal.throwIfAborted()
        await this.#pulse.next()
      }
    } finally {
      signal.removeEventListener("abort", onAbort)
    }
  }

  /**
   * Tells whether a piece may go to a client: never the last one of an unproved blob; and for a
   * bounded range only what this node had from its own origin.
   */
  mayEmit(piece: number, options: { isBounded: boolean }): boolean {
    const { blob } = this.#growth
    if (blob === undefined || !blob.pieces.has(piece)) return false
    if (piece === blob.layout.count - 1) return false
    return !options.isBounded || this.sourcing.pull.own?.bears(blob, piece) === true
  }

  /**
   * Gives bytes that this node's own origin sent first, before their piece is here: also for a bounded
   * range, but none of the last piece, which proves the whole.
   */
  headFrom(start: number, end: number): HeadBytes | undefined {
    const { blob } = this.#growth
    if (blob === undefined || this.#isFinishing) return undefined
    if (Math.floor(start / blob.layout.lengthBytes) >= blob.layout.count - 1) return undefined
    const { head } = this.sourcing
    const bytes = head.from(start, end)
    return bytes && { bytes, blame: () => head.blame() }
  }

  /** Gives the SHA-256 of a piece that is here (32 bytes). */
  pieceSha256(piece: number): Uint8Array | undefined {
    return this.#growth.blob?.pieceSha256(piece)
  }

  report(): FlightReport {
    const { sizeBytes, haveBytes, fromPeersBytes, torrent } = this.#growth
    const sources = torrent?.sources() ?? []
    return {
      digest: this.digest,
      sizeBytes: sizeBytes ?? this.settledSizeBytes,
      haveBytes: this.#state === "complete" ? (this.settledSizeBytes ?? 0) : haveBytes,
      fromPeersBytes,
      fromOriginBytes: this.sourcing.pull.receivedBytes,
      sources: sources.map(({ peer, receivedBytes }) => ({ peer, receivedBytes })),
      state: this.#state === "abandoned" ? "failed" : this.#state,
    }
  }

  /** Ends the flight with an error for all who wait. */
  fail(error: unknown): void {
    if (this.isOver) return
    this.#fault = error
    this.#end("failed")
  }

  onChange(change: BlobChange): void {
    if (this.isOver) return
    if (change.kind !== "piece") {
      this.wake()
      return
    }
    this.#move()
    this.#noteGrowth()
    this.sourcing.head.onPiece()
    this.#pulse.fire()
    this.#aim()
    if (this.#growth.blob?.pieces.isFull === true) this.wake()
  }

  /** Looks around soon. */
  wake(): void {
    if (this.#isPlanning || this.isOver) return
    this.#isPlanning = true
    queueMicrotask(() => {
      this.#isPlanning = false
      if (this.isOver) return
      this.#plan()
      this.#pulse.fire()
    })
  }

  #listen(): void {
    const { swarm, net, clock } = this.#deps
    const { fetchers } = this.sourcing
    const tick = () => {
      this.wake()
      cancelTick = clock.after(TICK_MS, tick)
    }
    let cancelTick = clock.after(TICK_MS, tick)
    this.#unlisten.push(
      () => cancelTick(),
      swarm.onHolder(this.digest, ({ peer, isPlain }) => {
        if (isPlain !== true) fetchers.onHolder(peer)
        this.wake()
      }),
      net.onConnect(() => this.wake()),
      net.onDisconnect((peer) => {
        fetchers.onDisconnect(peer)
        this.wake()
      }),
    )
  }

  #plan(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    const growth = this.#growth
    growth.meter()
    if (this.#deps.store.stat(this.digest)?.isComplete === true && !this.#isFinishing) {
      // Who sent what is settled by the whole, whoever brought it.
      if (growth.torrent === undefined) this.#end("complete")
      else void this.#finish()
      return
    }
    if (!this.#isWanted(nowMs)) {
      this.#end("abandoned")
      return
    }
    // While the whole is checked nothing is fetched, and nobody is late: it may take a while.
    if (this.#isFinishing || growth.isOpening) return
    this.#failOverdue(nowMs)
    if (growth.blob === undefined) growth.hearSizes()
    const isWhole = this.#isWaitedFor(nowMs)
    this.sourcing.plan({ nowMs, isWhole, errands: [...this.#errands.keys()] })
    if (growth.blob?.pieces.isFull === true) void this.#finish()
    else if (this.sourcing.isHopeless) this.fail(this.#reason())
    else if (growth.blob === undefined) void this.#open(nowMs)
    this.#aim()
  }

  #isWanted(nowMs: number): boolean {
    for (const [segment, untilMs] of this.#errands) {
      if (untilMs <= nowMs || this.hasSegment(segment)) this.dropErrand(segment)
    }
    if (this.#errands.size > 0 || this.#isFinishing || this.#isWaitedFor(nowMs)) return true
    return nowMs - this.#idleSinceMs < this.#limits.graceMs
  }

  /** Whether somebody here wants all of it: a client that is gone may come back at once. */
  #isWaitedFor(nowMs: number): boolean {
    return this.#interests.size > 0 || nowMs - this.#leftAtMs < this.#limits.graceMs
  }

  /** Makes the blob once its size is believed, somebody gives it, and it is known to be shared. */
  async #open(nowMs: number): Promise<void> {
    const claim = this.#growth.sizes.best()
    if (claim === undefined || !this.sourcing.isPromising) return
    // Until the origin has answered, this node does not know whether the content is private.
    const isAsked = this.sourcing.pull.isWaitingForHeader(nowMs, this.#limits.stallMs)
    if (isAsked && !this.#isAccessKnown()) return
    await this.#openAs(claim.sizeBytes)
  }

  #isAccessKnown(): boolean {
    const { ref } = this.sourcing.pull
    if (this.#deps.store.stat(this.digest) !== undefined || this.#growth.isPrivate) return true
    return ref !== undefined && this.#deps.memory.access(ref) !== undefined
  }

  async #openAs(sizeBytes: number): Promise<void> {
    const growth = this.#growth
    try {
      if (!(await growth.open(sizeBytes))) return
      if (this.isOver) {
        growth.close()
        return
      }
      this.#state = "fetching"
      // What needs credentials is read from the origin alone, as long as that is possible.
      if (!growth.isPrivate || !this.sourcing.pull.isUsable) growth.joinSwarm()
      growth.torrent?.setFetching(this.#isWaitedFor(this.#deps.clock.monotonicMs()))
    } catch (error) {
      this.fail(error)
    } finally {
      this.wake()
    }
  }

  async #onHeader(answer: OriginBody, ref: OriginRef): Promise<PartialBlob | undefined> {
    const growth = this.#growth
    if (this.isOver) return undefined
    this.#move()
    this.#deps.memory.noteAccess(ref, answer.usedCredentials ? "private" : "public")
    this.#deps.rights.noteAnswer(this.digest, ref)
    if (answer.usedCredentials) await growth.turnPrivate()
    if (this.#interests.size === 0 && growth.isPrivate) return undefined
    if (!this.#acceptSize(answer.sizeBytes)) return undefined
    for (;;) {
      if (this.isOver) return undefined
      if (growth.blob !== undefined) return growth.blob
      if (!growth.isOpening) await this.#openAs(answer.sizeBytes)
      if (growth.blob === undefined) await this.#pulse.wait(this.#stopping.signal)
    }
  }

  /** The own origin tells the size: only a descriptor is believed more. */
  #acceptSize(sizeBytes: number): boolean {
    const { sizes, blob } = this.#growth
    const claim = sizes.best()
    if (claim?.source === "request" && claim.sizeBytes !== sizeBytes) {
      const message = `the origin says ${sizeBytes} bytes, the descriptor ${claim.sizeBytes}`
      this.sourcing.pull.condemn(new OriginError("ORIGIN_CORRUPT", message))
      return false
    }
    sizes.add(sizeBytes, "origin")
    if (blob !== undefined && blob.layout.sizeBytes !== sizeBytes) {
      this.#discard(blob.layout.sizeBytes)
    }
    return true
  }

  /** Gives up a size that proved wrong. */
  #discard(sizeBytes: number): void {
    this.#growth.discard(sizeBytes)
    this.sourcing.head.end()
    this.sourcing.pull.own = undefined
    this.#aimedPiece = undefined
    this.#state = "looking"
    this.#breakReaders((interest) => interest.sizeBytes !== undefined)
  }

  async #finish(): Promise<void> {
    const { blob, torrent } = this.#growth
    if (this.#isFinishing || blob === undefined) return
    this.#isFinishing = true
    try {
      const outcome = await blob.finish({ signal: this.#stopping.signal })
      if (this.isOver) return
      if (outcome.kind === "complete") {
        await torrent?.settle("right")
        this.#end("complete")
      } else await this.#mend(blob)
    } catch (error) {
      // The disk lost pieces meanwhile: they are fetched again.
      const isLost = codeOf(error) === "BLOB_CORRUPT" || codeOf(error) === "PIECE_MISSING"
      if (!isLost) this.fail(error)
    } finally {
      this.#isFinishing = false
      this.wake()
    }
  }

  /** The whole digest is wrong: drops what may be wrong and lets others bring it anew. */
  async #mend(blob: PartialBlob): Promise<void> {
    const { pull } = this.sourcing
    this.#mismatchCount++
    this.#deps.log.warn({ digest: this.digest, count: this.#mismatchCount }, "wrong whole digest")
    pull.interrupt()
    this.sourcing.head.end()
    const all = Array.from({ length: blob.layout.count }, (_, index) => index)
    const isOwn = all.length > 0 && all.every((index) => pull.own?.bears(blob, index) === true)
    const foreign = all.filter((index) => pull.own?.bears(blob, index) !== true)
    // Who has it all has proved it: its word may have come after pieces that another's word let in.
    const isFirst = this.#mismatchCount <= MISMATCHES_TRUSTING_MAX
    const hasProof = isFirst && this.sourcing.hasCompleteHolder
    const settled = hasProof ? undefined : await this.#growth.torrent?.settle("wrong")
    if (isOwn) pull.blame()
    // At first the swarm's judgement is enough: what two lists agree on is kept. Then all goes that
    // is not from the own origin, and where that is nothing or there is no origin, all.
    const isSettled = isFirst && (settled?.droppedPieces.length ?? 0) > 0
    const isPart = (pull.isUsable || hasProof) && foreign.length > 0
    if (!isSettled) await blob.dropPieces(isPart ? foreign : all)
    this.#breakReaders((interest) => interest.hasUnproved && interest.hasBegun)
    if (this.#mismatchCount >= MISMATCHES_MAX) {
      this.fail(this.#reason())
      return
    }
    const { sizes } = this.#growth
    const isWeak = sizes.best()?.source === "peer" && sizes.hasOther(blob.layout.sizeBytes)
    if (isWeak) this.#discard(blob.layout.sizeBytes)
    this.sourcing.startOver({ isOwnOnly: this.#mismatchCount > MISMATCHES_TRUSTING_MAX })
  }

  /** A fetcher's origin lies: what came by it is doubted before the whole can be checked. */
  async #doubt(): Promise<void> {
    const { blob, torrent } = this.#growth
    if (this.#isFinishing || torrent === undefined || blob?.pieces.isFull !== false) return
    if (this.#mismatchCount >= MISMATCHES_TRUSTING_MAX) return
    this.#mismatchCount++
    await torrent.settle("wrong")
    this.sourcing.startOver({ isOwnOnly: false })
    this.wake()
  }

  #breakReaders(isHit: (interest: Interest) => boolean): void {
    const error = new DeliveryError("BLOB_MISMATCH", `what came is not ${this.digest}`)
    for (const interest of [...this.#interests]) {
      if (!isHit(interest)) continue
      interest.fault = { error }
      this.leave(interest)
    }
  }

  /** Ends the waiting of those for whom nothing moved for too long. */
  #failOverdue(nowMs: number): void {
    const { answerMs, breakMs, queueMs } = this.#limits
    if (this.#growth.torrent?.isQueued === true) this.#queuedAtMs = nowMs
    const { ref } = this.sourcing.pull
    const grewAtMs = ref === undefined ? Number.NEGATIVE_INFINITY : this.#deps.memory.grewAtMs(ref)
    for (const interest of [...this.#interests]) {
      if (interest.waitingSinceMs === undefined) continue
      const stillSinceMs = Math.max(interest.waitingSinceMs, this.#movedAtMs())
      const silentMs = nowMs - Math.max(stillSinceMs, this.#queuedAtMs, grewAtMs)
      const limitMs = interest.hasBegun ? breakMs : answerMs
      const isOverdue = silentMs >= limitMs - TICK_MS || nowMs - stillSinceMs >= queueMs - TICK_MS
      if (!isOverdue) continue
      interest.fault = { error: this.#reason() }
      this.leave(interest)
    }
    if (nowMs - this.#movedAtMs() >= this.#limits.stallMs) this.#tryOtherSize()
  }

  /** Nothing comes with a size that a peer told, and somebody tells another. */
  #tryOtherSize(): void {
    const growth = this.#growth
    const source = growth.sizes.best()?.source
    if (growth.blob === undefined || (source !== "peer" && source !== "local")) return
    growth.hearSizes()
    const { sizeBytes } = growth.blob.layout
    if (growth.sizes.hasOther(sizeBytes)) this.#discard(sizeBytes)
  }

  #reason(): Error {
    return this.sourcing.reason({ mismatchCount: this.#mismatchCount })
  }

  /** Tells the swarm what is read next. */
  #aim(): void {
    const { torrent, layout } = this.#growth
    if (torrent === undefined || layout === undefined || layout.count === 0) {
      this.#aimedPiece = undefined
      return
    }
    const hasReader = readerInFront(this.#interests) !== undefined
    const piece = hasReader ? this.#readerPiece() : undefined
    if (piece === this.#aimedPiece) return
    this.#aimedPiece = piece
    torrent.setWindow(piece === undefined ? undefined : windowFrom(layout, piece))
  }

  /** The first piece that the reader in front misses; 0 when nobody reads. */
  #readerPiece(): number {
    const { layout, blob } = this.#growth
    const reader = readerInFront(this.#interests)
    if (layout === undefined || reader === undefined) return 0
    const piece = Math.floor((reader.positionBytes ?? 0) / layout.lengthBytes)
    const next = blob?.pieces.nextMissing(piece) ?? piece
    return Math.max(0, Math.min(next, layout.count - 1))
  }

  #move(): void {
    this.#progressAtMs = this.#deps.clock.monotonicMs()
  }

  /** Tells the other flights from the same origin that something new is here: its link is alive. */
  #noteGrowth(): void {
    const { ref } = this.sourcing.pull
    if (ref !== undefined) this.#deps.memory.noteGrowth(ref)
  }

  /** When something last came in, from any source. */
  #movedAtMs(): number {
    const { torrent } = this.#growth
    if (torrent === undefined) return this.#progressAtMs
    const torrentAtMs = this.#deps.clock.monotonicMs() - torrent.lastProgressMs()
    return Math.max(this.#progressAtMs, torrentAtMs)
  }

  /** Leaves a line in the log of who gave what: the question that operators ask first. */
  #logArrival(): void {
    const { digest, sizeBytes, fromOriginBytes, fromPeersBytes, sources } = this.report()
    if (fromOriginBytes + fromPeersBytes === 0) return
    const given = sources.map(({ peer, receivedBytes }) => [peer, receivedBytes] as const)
    this.#deps.log.info(
      { digest, sizeBytes, fromOriginBytes, fromPeersBytes, sources: Object.fromEntries(given) },
      "a blob arrived",
    )
  }

  #end(state: "complete" | "failed" | "abandoned"): void {
    if (this.isOver) return
    this.#state = state
    for (const unlisten of this.#unlisten) unlisten()
    this.#stopping.abort(FLIGHT_OVER)
    this.sourcing.stop()
    if (state === "complete") this.#logArrival()
    const isEmpty = this.#growth.blob?.pieces.count === 0
    this.#growth.close()
    if (isEmpty && state !== "complete") void this.#removeEmpty()
    this.#onEnd()
    this.#pulse.fire()
  }

  /** A blob of which nothing came leaves no trace. */
  async #removeEmpty(): Promise<void> {
    const { store, log, clock } = this.#deps
    // Its readers are just being told; they let go of it first.
    await clock.sleep(TICK_MS)
    try {
      if (store.stat(this.digest)?.pieceCount === 0) await store.remove(this.digest)
    } catch (error) {
      // Somebody else holds it, or the store is closed: then it is theirs to clear.
      log.debug({ digest: this.digest, code: codeOf(error) }, "an empty blob stays")
    }
  }

  #createSourcing(): Sourcing {
    return new Sourcing(this.#deps, this.#limits, {
      digest: this.digest,
      growth: this.#growth,
      signal: this.#stopping.signal,
      readerPiece: () => this.#readerPiece(),
      movedAtMs: () => this.#movedAtMs(),
      beginningBytes: () => {
        const reader = readerInFront(this.#interests)
        return reader?.hasBegun === false ? reader.positionBytes : undefined
      },
      move: () => this.#move(),
      onHeadGrown: () => {
        this.#noteGrowth()
        this.#pulse.fire()
      },
      onHeader: (answer, ref) => this.#onHeader(answer, ref),
      onStoreFault: (error) => this.fail(error),
      onCorrupt: () => void this.#doubt().catch((error: unknown) => this.fail(error)),
      wake: () => this.wake(),
    })
  }
}
