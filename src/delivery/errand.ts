/**
 * The other side of an election: a peer asks this node to read a segment from its own origin
 * (protocol/origin-election.md, Procedures).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { type ByteRange, pieceRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import { segmentPieces } from "./election.ts"
import { OriginError } from "./errors.ts"
import type { FetchAnswer, FetchRequest, RefusalCode } from "./fetch-message.ts"
import { isAbove } from "./fetchers.ts"
import type { Flight } from "./flight.ts"
import { type DeliveryDeps, type DeliveryLimits, TICK_MS } from "./limit.ts"
import type { OriginRef } from "./origin.ts"
import type { OriginMemory } from "./origin-memory.ts"
import { askProof } from "./origin-proof.ts"
import type { OriginTraffic } from "./origin-traffic.ts"
import type { ElectionRights } from "./rights.ts"

/** Segments that one node brings for others at the same time. */
const ERRANDS_MAX = 256

/** What answering needs. */
export interface ErrandDeps extends DeliveryDeps {
  readonly limits: DeliveryLimits
  readonly memory: OriginMemory
  readonly traffic: OriginTraffic
  readonly mayAsk: (peer: PeerId, ref: OriginRef) => boolean
  readonly rights: ElectionRights
  flight(digest: Digest): Flight | undefined
  /** Gives the flight of a blob, a new one if there is none; undefined: the node is shutting down. */
  begin(digest: Digest, ref: OriginRef): Flight | undefined
  errandCount(): number
}

/** Who asks, and until when. */
interface Asking {
  readonly peer: PeerId
  readonly signal: AbortSignal
}

/** Answers one request; begins to fetch if it is this node's turn. */
export async function answerFetch(
  deps: ErrandDeps,
  request: FetchRequest,
  context: Asking,
): Promise<FetchAnswer> {
  const { digest, ref } = request
  const { peer } = context
  if (!deps.mayAsk(peer, ref) || !deps.rights.mayRead(peer, ref)) return refused("ORIGIN_FORBIDDEN")
  if (isHereForOthers(deps, request, peer)) return answerStranger(deps, request, context)
  const stat = deps.store.stat(digest)
  if (stat?.isShared === false) return refused("CONTENT_PRIVATE")
  if (stat?.isComplete === true) return { kind: "have", sizeBytes: stat.layout.sizeBytes }
  if (request.intent !== "fetch") return answerProbe(deps, request, peer)
  return refusalBefore(deps, request) ?? bring(deps, request, context)
}

/** Whether a blob is here, or on its way, under names that the asker may not fetch. */
function isHereForOthers(deps: ErrandDeps, { digest, ref }: FetchRequest, peer: PeerId): boolean {
  const flight = deps.flight(digest)
  const isHere = deps.store.stat(digest) !== undefined || flight !== undefined
  return isHere && !deps.rights.mayFetch(peer, digest) && flight?.isOf(ref) !== true
}

/**
 * Answers as if the blob were not here: the origin is asked, as it would be then. If it shows that it has
 * the blob, the blob belongs there, too.
 */
async function answerStranger(
  deps: ErrandDeps,
  request: FetchRequest,
  { peer, signal }: Asking,
): Promise<FetchAnswer> {
  const { digest, ref } = request
  if (request.intent !== "fetch") return refused("NOT_FETCHING")
  const refusal = refusalBefore(deps, request)
  if (refusal !== undefined) return refusal
  try {
    const proof = await askProof(deps, { digest, ref, signal })
    if (proof === "private") return refused("CONTENT_PRIVATE")
    // What is not whole here cannot be compared: the asker reads for itself.
    if (proof === undefined) return refused("FETCHER_BUSY")
    deps.rights.noteProof(digest, ref)
    const stat = deps.store.stat(digest)
    if (stat?.isShared !== true || !deps.rights.mayFetch(peer, digest)) {
      return refused("CONTENT_PRIVATE")
    }
    return { kind: "have", sizeBytes: stat.layout.sizeBytes }
  } catch (error) {
    if (!(error instanceof OriginError)) return refused("ORIGIN_UNAVAILABLE")
    deps.memory.noteFault(ref, digest, error)
    return refusedBy(error)
  }
}

/** Why this node does not read from an origin for others, before it asks that one. */
function refusalBefore(deps: ErrandDeps, { digest, ref }: FetchRequest): FetchAnswer | undefined {
  if (!deps.origin.serves(ref) || deps.traffic.isMetered(ref)) return refused("ORIGIN_FORBIDDEN")
  const known = deps.memory.fault(ref, digest)
  if (known !== undefined) return refusedBy(known)
  if (deps.memory.access(ref) === "private") return refused("CONTENT_PRIVATE")
  return deps.errandCount() >= ERRANDS_MAX ? refused("FETCHER_BUSY") : undefined
}

/** Begins to bring a segment, or goes on. */
async function bring(
  deps: ErrandDeps,
  request: FetchRequest,
  context: Asking,
): Promise<FetchAnswer> {
  const { digest, ref, segment } = request
  const flight = deps.begin(digest, ref)
  if (flight === undefined) return refused("FETCHER_BUSY")
  if (request.sizeBytes !== undefined) flight.learnHint(request.sizeBytes, context.peer)
  flight.addErrand(segment, context.peer)
  const answer = await answerOf(deps, flight, { segment, signal: context.signal })
  if (answer.kind === "refused") flight.dropErrand(segment)
  return answer
}

/** Tells whether somebody brings a segment whom the asker may leave it to. */
function answerProbe(deps: ErrandDeps, request: FetchRequest, asker: PeerId): FetchAnswer {
  const { digest, segment, intent } = request
  const sizeBytes = deps.store.stat(digest)?.layout.sizeBytes
  if (sizeBytes === undefined) return refused("NOT_FETCHING")
  if (holdsSegment(deps, digest, segment)) return { kind: "have", sizeBytes }
  const flight = deps.flight(digest)
  if (flight === undefined) return refused("NOT_FETCHING")
  const { sourcing, doneBytes } = flight
  // Two readers: the one with the lower score yields, and never both.
  const counts = intent === "begin" || isAbove(digest, segment, [deps.net.id, asker])
  const isRead = counts && sourcing.isReading(segment)
  const isBrought = isRead || sourcing.fetchers.isLeftAbove(segment, asker)
  return isBrought ? { kind: "fetching", sizeBytes, doneBytes } : refused("NOT_FETCHING")
}

function holdsSegment(deps: ErrandDeps, digest: Digest, segment: number): boolean {
  const reader = deps.store.open(digest)
  if (reader === undefined) return false
  try {
    const { layout } = reader
    const pieces = segmentPieces(layout, segment, deps.limits.segmentBytes)
    if (pieces.end <= pieces.start) return false
    const range: ByteRange = {
      start: pieceRange(layout, pieces.start).start,
      end: pieceRange(layout, pieces.end - 1).end,
    }
    return reader.hasRange(range)
  } finally {
    reader.release()
  }
}

/** Waits until it is known whether the segment comes; not longer than the asker waits. */
async function answerOf(
  deps: ErrandDeps,
  flight: Flight,
  { segment, signal }: { segment: number; signal: AbortSignal },
): Promise<FetchAnswer> {
  const timeout = new AbortController()
  const stalled = new OriginError("ORIGIN_STALLED", "the origin does not answer")
  const waitMs = deps.limits.stallMs - TICK_MS
  const cancel = deps.clock.after(waitMs, () => timeout.abort(stalled))
  const askedMs = deps.clock.monotonicMs()
  const look = (): FetchAnswer | undefined => {
    const { sizeBytes, doneBytes } = flight
    if (flight.isPrivate) return refused("CONTENT_PRIVATE")
    if (sizeBytes !== undefined && hasAll(flight, segment)) return { kind: "have", sizeBytes }
    const { sourcing } = flight
    // Whoever cannot read itself promises nothing, or two such nodes would wait for each other.
    const fault = sourcing.pull.isUsable ? undefined : sourcing.pull.fault()
    if (fault !== undefined) return refusedBy(fault)
    // On a full link an answer takes its time; whoever hears of none has somebody else read it too.
    const isLate = deps.clock.monotonicMs() - askedMs >= waitMs / 2
    const hasTurn = sourcing.pull.hasAnswered || (isLate && deps.memory.isBusy(sourcing.pull.ref))
    const isRead = sourcing.isReading(segment) && hasTurn
    const isBrought = isRead || sourcing.isLeft(segment)
    const isKnown = isBrought && sizeBytes !== undefined
    return isKnown ? { kind: "fetching", sizeBytes, doneBytes } : undefined
  }
  try {
    return await flight.until(look, { signal: AbortSignal.any([timeout.signal, signal]) })
  } catch (error) {
    if (error instanceof OriginError) return refusedBy(error)
    return refused("ORIGIN_UNAVAILABLE")
  } finally {
    cancel()
  }
}

function hasAll(flight: Flight, segment: number): boolean {
  return flight.state === "complete" || flight.hasSegment(segment)
}

function refused(code: RefusalCode): FetchAnswer {
  return { kind: "refused", code, retryAfterSeconds: undefined }
}

function refusedBy(fault: OriginError): FetchAnswer {
  const retry = fault.details?.retryAfterSeconds
  const retryAfterSeconds = typeof retry === "number" ? retry : undefined
  return { kind: "refused", code: fault.code, retryAfterSeconds }
}
