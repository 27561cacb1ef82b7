/**
 * Delivery: opens streams, ensures blobs, and answers peers that elected this node
 * (docs/architecture.md, A pull).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { untilAborted } from "../core/until-aborted.ts"
import type { BlobStat } from "../store/store.ts"
import { type BodyDeps, readBody } from "./blob-body.ts"
import { checkRange, resolveRange, startStream } from "./blob-stream.ts"
import { CopyKeeping } from "./copy-keeping.ts"
import type { BlobRequest, BlobStream, Delivery, FlightReport, RangeRequest } from "./delivery.ts"
import { answerFetch, type ErrandDeps } from "./errand.ts"
import { DeliveryError, OriginError } from "./errors.ts"
import { encodeFetchAnswer, FETCH_PROTOCOL, parseFetchRequest } from "./fetch-message.ts"
import { Flight } from "./flight.ts"
import { type Interest, newInterest } from "./interest.ts"
import {
  DELIVERY_LIMITS,
  type DeliveryDeps,
  type DeliveryLimits,
  type DeliveryOptions,
  TICK_MS,
} from "./limit.ts"
import { createMeters } from "./meters.ts"
import type { OriginRef } from "./origin.ts"
import { OriginMemory } from "./origin-memory.ts"
import type { OriginSlots } from "./origin-pull.ts"
import { createOriginTraffic } from "./origin-traffic.ts"
import { Pulse } from "./pulse.ts"
import { createElectionRights } from "./rights.ts"
import { ShortWay } from "./short-way.ts"
import type { FlightDeps } from "./sourcing.ts"

/** Flights of one node at the same time. */
const FLIGHTS_MAX = 4_096
/** Streams from origins of one node at the same time. */
const ORIGIN_STREAMS_MAX = 16
/** Sizes that are believed one after the other for one reader. */
const SIZES_MAX = 3

/** Makes the delivery of one node and begins to answer peers. */
export function createDelivery(deps: DeliveryDeps, options: DeliveryOptions = {}): Delivery {
  return new Road(deps, options)
}

class Road implements Delivery {
  readonly #deps: FlightDeps
  readonly #limits: DeliveryLimits
  readonly #flights = new Map<Digest, Flight>()
  readonly #short: ShortWay
  readonly #landed = new Pulse()
  /** Streams that a client still reads. */
  readonly #streams = new Set<Interest>()
  readonly #stopping = new AbortController()
  readonly #unlisten: () => void
  readonly #body: BodyDeps
  readonly #copies: CopyKeeping
  #isStopping = false

  constructor(deps: DeliveryDeps, options: DeliveryOptions) {
    this.#limits = { ...DELIVERY_LIMITS, ...options.limits }
    const underWay = () => this.#flights.size + this.#short.count
    const { bytes, ...meters } = createMeters(deps, underWay)
    this.#deps = {
      ...deps,
      slots: createSlots(() => this.#wakeAll()),
      memory: new OriginMemory(deps.clock),
      traffic: createOriginTraffic(deps.origin, deps.shaping),
      meters,
      isMember: options.isMember ?? (() => true),
      rights: createElectionRights(deps),
    }
    this.#short = new ShortWay(this.#deps, () => this.#landed.fire())
    this.#body = {
      store: deps.store,
      board: (request, interest) => this.#board(request, interest),
      onLocalBytes: (count) => bytes("local", count),
    }
    this.#unlisten = deps.store.onChange((change) => {
      this.#flights.get(change.digest)?.onChange(change)
    })
    this.#answerPeers(options.mayAsk ?? (() => true))
    const ensure: Delivery["ensure"] = (request, waiting) => this.ensure(request, waiting)
    this.#copies = new CopyKeeping({ ...deps, ensure })
  }

  async open(
    request: BlobRequest,
    options: { range?: RangeRequest; isLent?: boolean; signal: AbortSignal },
  ): Promise<BlobStream> {
    this.#assertRunning()
    checkRange(options.range)
    const signal = AbortSignal.any([options.signal, this.#stopping.signal])
    signal.throwIfAborted()
    for (let sizes = 1; ; sizes++) {
      const interest = newInterest(options.range?.start ?? 0)
      try {
        const { range, isLent = false } = options
        return await this.#openAs(request, { range, isLent, signal, interest })
      } catch (error) {
        // The size that was believed proved wrong before the client was told: look again.
        const isOver = sizes >= SIZES_MAX || interest.fault === undefined
        if (isOver || codeOf(error) !== "BLOB_MISMATCH") throw error
      }
    }
  }

  async ensure(
    request: BlobRequest,
    options: { signal: AbortSignal; onProgress?: (report: FlightReport) => void },
  ): Promise<BlobStat> {
    this.#assertRunning()
    const known = this.#deps.store.stat(request.digest)
    if (known?.isComplete === true) return known
    const { signal } = options
    const brought = await this.#bringShort(request, signal)
    if (brought !== undefined) {
      options.onProgress?.(arrivedReport(brought))
      return brought
    }
    const interest = newInterest(undefined)
    const flight = this.#board(request, interest)
    const stopTelling = this.#tell(flight, options.onProgress)
    try {
      return await flight.until(
        () => {
          const stat = this.#deps.store.stat(request.digest)
          return stat?.isComplete === true ? stat : undefined
        },
        { signal, interest },
      )
    } finally {
      stopTelling()
      flight.leave(interest)
    }
  }

  async size(request: BlobRequest, options: { signal: AbortSignal }): Promise<number | undefined> {
    this.#assertRunning()
    const { digest } = request
    const stat = this.#deps.store.stat(digest)
    if (stat?.isComplete === true) return stat.layout.sizeBytes
    const known = this.#flights.get(digest)?.settledSizeBytes
    if (known !== undefined) return known
    const complete = this.#deps.swarm.holders(digest).filter((holder) => holder.isComplete)
    if (complete.length > 0) {
      return request.sizeBytes ?? mostCommon(complete.map((holder) => holder.sizeBytes))
    }
    const { origin } = request
    if (origin !== undefined && this.#deps.origin.serves(origin)) {
      return await this.#sizeAtOrigin(origin, digest, options.signal)
    }
    return stat?.layout.sizeBytes ?? this.#deps.swarm.holders(digest)[0]?.sizeBytes
  }

  isAtHand(digest: Digest): boolean {
    if (this.#deps.store.stat(digest)?.isComplete === true) return true
    return this.#deps.swarm.holders(digest).some((holder) => holder.isComplete)
  }

  async findAtHand(
    digests: readonly Digest[],
    options: { signal: AbortSignal },
  ): Promise<ReadonlySet<Digest>> {
    const missing = digests.filter((digest) => !this.isAtHand(digest))
    if (missing.length > 0) await this.#deps.swarm.askHolders(missing, options)
    return new Set(digests.filter((digest) => this.isAtHand(digest)))
  }

  flights(): readonly FlightReport[] {
    return [...this.#flights.values()].map((flight) => flight.report())
  }

  async stop(options: { deadlineMs: number }): Promise<void> {
    this.#isStopping = true
    this.#copies.stop()
    const deadline = new AbortController()
    const cancel = this.#deps.clock.after(options.deadlineMs, () => deadline.abort())
    try {
      while (this.#isBusy()) await this.#landed.wait(deadline.signal)
    } catch {
      // The deadline passed: what still waits is told so.
    } finally {
      cancel()
      this.#close()
    }
  }

  #isBusy(): boolean {
    if (this.#streams.size > 0 || this.#short.count > 0) return true
    return [...this.#flights.values()].some((flight) => flight.hasWaiters)
  }

  #close(): void {
    const stopped = new DeliveryError("DELIVERY_STOPPED", "the node is shutting down")
    this.#stopping.abort(stopped)
    for (const flight of [...this.#flights.values()]) flight.fail(stopped)
    this.#unlisten()
  }

  async #openAs(
    request: BlobRequest,
    {
      range: asked,
      isLent,
      signal,
      interest,
    }: {
      range: RangeRequest | undefined
      isLent: boolean
      signal: AbortSignal
      interest: Interest
    },
  ): Promise<BlobStream> {
    const sizeBytes = await this.#sizeForReader(request, { interest, signal })
    interest.sizeBytes = sizeBytes
    try {
      const range = resolveRange(asked, sizeBytes)
      const isBounded = asked?.end !== undefined
      const body = readBody(this.#body, { request, range, isBounded, isLent, signal, interest })
      this.#streams.add(interest)
      const onEnd = () => this.#endStream(interest)
      return await startStream({ sizeBytes, range, body, signal, interest, onEnd })
    } catch (error) {
      this.#flights.get(request.digest)?.leave(interest)
      this.#endStream(interest)
      throw error
    }
  }

  #endStream(interest: Interest): void {
    this.#streams.delete(interest)
    this.#landed.fire()
  }

  /** Tells the size at once when it is believed, else brings the flight to where it is. */
  async #sizeForReader(
    request: BlobRequest,
    { interest, signal }: { interest: Interest; signal: AbortSignal },
  ): Promise<number> {
    const stat = this.#deps.store.stat(request.digest)
    if (stat?.isComplete === true) return stat.layout.sizeBytes
    const brought = await this.#bringShort(request, signal)
    if (brought !== undefined) return brought.layout.sizeBytes
    const flight = this.#board(request, interest)
    try {
      return await flight.until(() => flight.settledSizeBytes, { signal, interest })
    } catch (error) {
      flight.leave(interest)
      throw error
    }
  }

  async #sizeAtOrigin(
    ref: OriginRef,
    digest: Digest,
    outer: AbortSignal,
  ): Promise<number | undefined> {
    const stopping = new AbortController()
    const stalled = new OriginError("ORIGIN_STALLED", "the origin does not answer")
    const waitMs = this.#limits.answerMs - 2 * TICK_MS
    const cancel = this.#deps.clock.after(waitMs, () => stopping.abort(stalled))
    const signal = AbortSignal.any([outer, stopping.signal])
    try {
      const range = { start: 0, end: 1 }
      const asked = this.#deps.origin.fetchBlob(ref, digest, { range, signal })
      return (await untilAborted(asked, signal)).sizeBytes
    } catch (error) {
      if (error instanceof OriginError && error.code === "ORIGIN_NOT_FOUND") return undefined
      throw error
    } finally {
      cancel()
      stopping.abort(stalled)
    }
  }

  /**
   * Brings a small blob without a flight, where that can be.
   * @returns undefined: a flight has to bring it, or tells that nobody waits any more
   */
  async #bringShort(request: BlobRequest, signal: AbortSignal): Promise<BlobStat | undefined> {
    const { digest } = request
    if (this.#flights.has(digest)) return undefined
    this.#assertOpen()
    const bringing = this.#short.bring(request)
    if (bringing === undefined) return undefined
    // It never fails; who gives up waiting lets go of what comes later.
    if (!(await untilAborted(bringing, signal).catch(() => false))) return undefined
    const stat = this.#deps.store.stat(digest)
    return stat?.isComplete === true ? stat : undefined
  }

  #board(request: BlobRequest, interest: Interest): Flight {
    this.#assertOpen()
    const flight = this.#flight(request.digest)
    flight.learn(request)
    flight.join(interest)
    return flight
  }

  #flight(digest: Digest): Flight {
    const known = this.#flights.get(digest)
    if (known !== undefined) return known
    if (this.#flights.size >= FLIGHTS_MAX) {
      throw new DeliveryError("BLOB_UNAVAILABLE", `${FLIGHTS_MAX} blobs are on their way already`)
    }
    const flight: Flight = new Flight(this.#deps, this.#limits, digest, () => {
      this.#flights.delete(digest)
      this.#landed.fire()
    })
    this.#flights.set(digest, flight)
    return flight
  }

  #answerPeers(mayAsk: ErrandDeps["mayAsk"]): void {
    const errands: ErrandDeps = {
      ...this.#deps,
      limits: this.#limits,
      mayAsk,
      flight: (digest) => this.#flights.get(digest),
      begin: (digest, ref) => this.#beginErrand(digest, ref),
      errandCount: () => this.#errandCount(),
    }
    this.#deps.net.onRequest(FETCH_PROTOCOL, async (body, context) => {
      const request = parseFetchRequest(body, this.#limits.segmentBytes)
      return encodeFetchAnswer(await answerFetch(errands, request, context))
    })
  }

  #beginErrand(digest: Digest, ref: OriginRef): Flight | undefined {
    if (this.#isStopping || this.#flights.size >= FLIGHTS_MAX) return undefined
    const flight = this.#flight(digest)
    flight.learnRef(ref)
    return flight
  }

  #errandCount(): number {
    let count = 0
    for (const flight of this.#flights.values()) count += flight.errandCount
    return count
  }

  #tell(flight: Flight, onProgress: ((report: FlightReport) => void) | undefined): () => void {
    if (onProgress === undefined) return () => {}
    const { clock, log } = this.#deps
    let cancel = () => {}
    const tell = () => {
      try {
        onProgress(flight.report())
      } catch (error) {
        log.warn({ error: messageOf(error) }, "a listener to progress failed")
      }
      cancel = clock.after(TICK_MS, tell)
    }
    tell()
    return () => {
      cancel()
      onProgress(flight.report())
    }
  }

  #wakeAll(): void {
    for (const flight of this.#flights.values()) flight.wake()
  }

  #assertRunning(): void {
    if (this.#isStopping) {
      throw new DeliveryError("DELIVERY_STOPPED", "the node is shutting down")
    }
  }

  /** While the node shuts down, streams that run may still go on. */
  #assertOpen(): void {
    this.#stopping.signal.throwIfAborted()
  }
}

/** Tells of a blob that came from peers without a flight. */
function arrivedReport({ digest, layout: { sizeBytes } }: BlobStat): FlightReport {
  const all = { haveBytes: sizeBytes, fromPeersBytes: sizeBytes, fromOriginBytes: 0 }
  return { digest, sizeBytes, ...all, sources: [], state: "complete" }
}

function mostCommon(sizes: readonly number[]): number | undefined {
  const counts = new Map<number, number>()
  for (const size of sizes) counts.set(size, (counts.get(size) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

function createSlots(onFree: () => void): OriginSlots {
  let taken = 0
  return {
    tryTake() {
      if (taken >= ORIGIN_STREAMS_MAX) return false
      taken++
      return true
    },
    free() {
      taken--
      onFree()
    },
  }
}
