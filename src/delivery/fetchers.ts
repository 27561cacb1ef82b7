/**
 * Who brings which segment of one blob from the origin, as this node sees it: it asks those who
 * rank above itself, and reads itself when it is its turn (protocol/origin-election.md, Procedures).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { refusalCode } from "../net/errors.ts"
import type { PeerId } from "../net/net.ts"
import { rankFetchers } from "./election.ts"
import { OriginError, type OriginErrorCode } from "./errors.ts"
import {
  encodeFetchRequest,
  FETCH_PROTOCOL,
  type FetchAnswer,
  type FetchIntent,
  parseFetchAnswer,
} from "./fetch-message.ts"
import type { DeliveryDeps, DeliveryLimits } from "./limit.ts"
import type { OriginRef } from "./origin.ts"

/** Peers asked in vain for one segment before this node reads it itself. */
const ASKS_MAX = 3
/** Partial holders that are asked whether they fetch already, before this node begins to. */
const PROBES_MAX = 4
const PROBE_MS_MAX = 500
/** New holders that a reader asks, for one segment, whether somebody above it reads too. */
const YIELDS_MAX = 16
const ASKERS_MAX = 256
/** A fetcher is asked again after this part of the time that makes a stall, … */
const STILL_PAUSE = 0.5
/** … and less often while something comes in: 32 nodes would ask a thousand times a second. */
const MOVING_PAUSE = 2

/** What fetchers need of their flight. */
export interface FetchersHost {
  readonly digest: Digest
  ref(): OriginRef | undefined
  sizeBytes(): number | undefined
  /** Whether this node may read from its own origin. */
  canFetch(): boolean
  /** Connected peers that take part in elections. */
  members(): readonly PeerId[]
  /** Connected peers that have a part of the blob, not all of it. */
  partialHolders(): readonly PeerId[]
  /** Pieces of a segment that are missing here. */
  missingCount(segment: number): number
  /** When something last came in here, from any source; monotonic. */
  movedAtMs(): number
  /** So long may somebody who brings a part stand still now. */
  patienceMs(): number
  /** Aborted at the end of the flight. */
  readonly signal: AbortSignal
  onSize(sizeBytes: number, peer: PeerId): void
  /** A fetcher found that the origin wants credentials. */
  onPrivate(): void
  /** A fetcher that brought something found out that its origin lies. */
  onCorrupt(): void
  onSilent(peer: PeerId): void
  wake(): void
}

type Role =
  | { readonly kind: "none" }
  /** A request is under way; which, tells the number. */
  | { readonly kind: "asking"; readonly peer: PeerId | undefined; readonly turn: number }
  | {
      readonly kind: "peer"
      readonly peer: PeerId
      readonly intent: FetchIntent
      doneBytes: number
      grownAtMs: number
      askedAtMs: number
      isAsking: boolean
    }
  /** `isFirm`: by decision of the flight, because others gave nothing; then it yields to nobody. */
  | { readonly kind: "self"; readonly isFirm: boolean }

interface Segment {
  readonly index: number
  role: Role
  readonly tried: Set<PeerId>
  /** Peers that left the segment to this node. */
  readonly askers: Set<PeerId>
  asks: number
  yields: number
  soughtAtMs: number
}

/** The assignments of one flight. */
export class Fetchers {
  readonly #deps: DeliveryDeps
  readonly #limits: DeliveryLimits
  readonly #host: FetchersHost
  readonly #segments = new Map<number, Segment>()
  /** Who said that it brings something, since the flight began or began anew. */
  readonly #bringing = new Set<PeerId>()
  /** Fetchers whose bytes turned out wrong together with others'. */
  readonly #excluded = new Set<PeerId>()
  #refusal: OriginError | undefined
  #turn = 0

  constructor(deps: DeliveryDeps, limits: DeliveryLimits, host: FetchersHost) {
    this.#deps = deps
    this.#limits = limits
    this.#host = host
  }

  /** The last reason that an asked peer gave. */
  get refusal(): OriginError | undefined {
    return this.#refusal
  }

  /** Whether somebody else is asked for, or brings, something that is missing here. */
  get isPending(): boolean {
    for (const { index, role } of this.#segments.values()) {
      if (role.kind === "asking") return true
      if (role.kind === "peer" && this.#host.missingCount(index) > 0) return true
    }
    return false
  }

  /** Whether a peer has said that it brings something. */
  get hasPromise(): boolean {
    for (const { role } of this.#segments.values()) if (role.kind === "peer") return true
    return false
  }

  /** Whether a peer brings something and was seen to move lately. */
  isMoving(nowMs: number): boolean {
    for (const { role } of this.#segments.values()) {
      if (role.kind === "peer" && nowMs - role.grownAtMs < this.#limits.stallMs) return true
    }
    return false
  }

  isSelf(segment: number): boolean {
    return this.#segments.get(segment)?.role.kind === "self"
  }

  isPeer(segment: number): boolean {
    return this.#segments.get(segment)?.role.kind === "peer"
  }

  /** Whether a segment was left to a peer that ranks above another one. */
  isLeftAbove(segment: number, peer: PeerId): boolean {
    const role = this.#segments.get(segment)?.role
    return role?.kind === "peer" && isAbove(this.#host.digest, segment, [role.peer, peer])
  }

  /** Gives every segment that is wanted and missing somebody who brings it. */
  plan(wanted: readonly number[]): void {
    const nowMs = this.#deps.clock.monotonicMs()
    // Also of those that are not waited for any more: one may say that what it brought is wrong.
    for (const segment of this.#segments.values()) {
      this.#renew(segment, nowMs)
      this.#seekAbove(segment, nowMs)
    }
    for (const index of wanted) {
      const segment = this.#segment(index)
      if (segment.role.kind === "self" && !this.#host.canFetch()) segment.role = { kind: "none" }
      if (segment.role.kind === "none") this.#assign(segment)
    }
  }

  /** From now on this node reads these segments itself. */
  takeOver(segments: readonly number[]): void {
    for (const index of segments) this.#segment(index).role = { kind: "self", isFirm: true }
  }

  /** A peer wants this node to bring a segment: then that peer cannot be the one who brings it. */
  onAskedBy(peer: PeerId, index: number): void {
    const segment = this.#segment(index)
    if (segment.askers.size < ASKERS_MAX) segment.askers.add(peer)
    const { role } = segment
    if ((role.kind === "peer" || role.kind === "asking") && role.peer === peer) {
      this.#passOn(segment, peer)
    }
  }

  /** A peer began to have the blob: it may be reading what this node reads, by another view. */
  onHolder(peer: PeerId): void {
    for (const segment of this.#segments.values()) {
      if (this.#mayYield(segment)) this.#askAbove(segment, peer)
    }
  }

  onDisconnect(peer: PeerId): void {
    for (const segment of this.#segments.values()) {
      const { role } = segment
      if (role.kind === "peer" && role.peer === peer) this.#passOn(segment, peer)
    }
  }

  /** The whole digest was wrong: other nodes are to fetch. */
  startOver(): void {
    for (const peer of this.#bringing) this.#excluded.add(peer)
    this.#bringing.clear()
    for (const segment of this.#segments.values()) {
      segment.role = { kind: "none" }
      segment.asks = 0
      segment.tried.clear()
    }
  }

  #segment(index: number): Segment {
    const known = this.#segments.get(index)
    if (known !== undefined) return known
    const segment: Segment = {
      index,
      role: { kind: "none" },
      tried: new Set(),
      askers: new Set(),
      asks: 0,
      yields: 0,
      soughtAtMs: Number.NEGATIVE_INFINITY,
    }
    this.#segments.set(index, segment)
    return segment
  }

  #assign(segment: Segment): void {
    const { digest } = this.#host
    const self = this.#deps.net.id
    const canFetch = this.#host.canFetch()
    const members = this.#host.members().filter((peer) => !this.#excluded.has(peer))
    const order = rankFetchers(digest, segment.index, canFetch ? [self, ...members] : members)
    const isOwnTurn = canFetch && segment.asks >= ASKS_MAX
    const next = isOwnTurn ? self : order.find((peer) => !segment.tried.has(peer))
    if (next === self) this.#begin(segment)
    else if (next !== undefined) void this.#ask(segment, next)
  }

  /** It is this node's turn. If a peer that others elected fetches already, it is left to that one. */
  #begin(segment: Segment): void {
    const holders = this.#host
      .partialHolders()
      .filter((peer) => !segment.tried.has(peer) && !this.#excluded.has(peer))
    if (holders.length === 0) {
      segment.role = { kind: "self", isFirm: false }
      return
    }
    void this.#probe(segment, holders.slice(0, PROBES_MAX))
  }

  async #probe(segment: Segment, holders: readonly PeerId[]): Promise<void> {
    const turn = this.#take(segment, undefined)
    const asked = holders.map(async (peer) => {
      const answer = await this.#request(segment, peer, "begin")
      if (answer === undefined || answer.kind === "refused") throw new Error("does not fetch")
      return { peer, answer }
    })
    const found = await Promise.any(asked).catch(() => undefined)
    if (!isTurn(segment, turn)) return
    if (found === undefined) segment.role = { kind: "self", isFirm: false }
    else this.#accept(segment, found, "begin")
    this.#host.wake()
  }

  /** While this node reads: now and then asks who has a part, since neighbours' views change. */
  #seekAbove(segment: Segment, nowMs: number): void {
    if (!this.#mayYield(segment)) return
    if (nowMs - segment.soughtAtMs < this.#limits.stallMs / 4) return
    segment.soughtAtMs = nowMs
    const holders = this.#host.partialHolders().filter((peer) => !segment.askers.has(peer))
    for (const peer of holders.slice(0, PROBES_MAX)) this.#askAbove(segment, peer)
  }

  #mayYield({ role, index }: Segment): boolean {
    return role.kind === "self" && !role.isFirm && this.#host.missingCount(index) > 0
  }

  #askAbove(segment: Segment, peer: PeerId): void {
    // Who asked this node relies on it already.
    if (segment.askers.has(peer) || segment.yields >= YIELDS_MAX) return
    segment.yields++
    void this.#yieldTo(segment, peer)
  }

  async #yieldTo(segment: Segment, peer: PeerId): Promise<void> {
    const answer = await this.#request(segment, peer, "yield")
    if (answer?.kind !== "fetching" || !this.#mayYield(segment)) return
    this.#accept(segment, { peer, answer }, "yield")
    this.#host.wake()
  }

  async #ask(segment: Segment, peer: PeerId): Promise<void> {
    const turn = this.#take(segment, peer)
    segment.asks++
    const answer = await this.#request(segment, peer, "fetch")
    if (!isTurn(segment, turn)) return
    if (answer === undefined || answer.kind === "refused") this.#passOn(segment, peer)
    else this.#accept(segment, { peer, answer }, "fetch")
    this.#host.wake()
  }

  #take(segment: Segment, peer: PeerId | undefined): number {
    const turn = ++this.#turn
    segment.role = { kind: "asking", peer, turn }
    return turn
  }

  #accept(
    segment: Segment,
    { peer, answer }: { peer: PeerId; answer: FetchAnswer },
    intent: FetchIntent,
  ): void {
    const nowMs = this.#deps.clock.monotonicMs()
    if (answer.kind === "refused") return
    this.#bringing.add(peer)
    segment.role = {
      kind: "peer",
      peer,
      intent,
      doneBytes: answer.kind === "fetching" ? answer.doneBytes : answer.sizeBytes,
      grownAtMs: nowMs,
      askedAtMs: nowMs,
      isAsking: false,
    }
  }

  /** Asks again whether the fetcher moves; if neither it nor this node does, another is asked. */
  #renew(segment: Segment, nowMs: number): void {
    const { role } = segment
    if (role.kind !== "peer") return
    role.grownAtMs = Math.max(role.grownAtMs, this.#host.movedAtMs())
    if (this.#host.missingCount(segment.index) === 0 || role.isAsking) return
    if (nowMs - role.grownAtMs >= this.#host.patienceMs()) {
      this.#passOn(segment, role.peer)
      return
    }
    const { stallMs } = this.#limits
    const hasJustGrown = nowMs - role.grownAtMs < stallMs / 2
    if (nowMs - role.askedAtMs < stallMs * (hasJustGrown ? MOVING_PAUSE : STILL_PAUSE)) return
    role.isAsking = true
    role.askedAtMs = nowMs
    void this.#request(segment, role.peer, role.intent).then((answer) => {
      role.isAsking = false
      if (segment.role !== role) return
      if (answer === undefined || answer.kind === "refused") {
        if (answer?.code === "ORIGIN_CORRUPT") this.#host.onCorrupt()
        this.#passOn(segment, role.peer)
      } else if (answer.kind === "fetching" && answer.doneBytes > role.doneBytes) {
        role.doneBytes = answer.doneBytes
        role.grownAtMs = this.#deps.clock.monotonicMs()
      }
      this.#host.wake()
    })
  }

  #passOn(segment: Segment, peer: PeerId): void {
    segment.tried.add(peer)
    segment.role = { kind: "none" }
    this.#host.wake()
  }

  /** @returns the answer; undefined when there was none in time */
  async #request(
    segment: Segment,
    peer: PeerId,
    intent: FetchIntent,
  ): Promise<FetchAnswer | undefined> {
    const ref = this.#host.ref()
    if (ref === undefined) return undefined
    const { digest } = this.#host
    const sizeBytes = this.#host.sizeBytes()
    const body = encodeFetchRequest({ digest, sizeBytes, ref, segment: segment.index, intent })
    const timeout = new AbortController()
    const waitMs = intent === "fetch" ? this.#limits.stallMs : PROBE_MS_MAX
    const cancel = this.#deps.clock.after(waitMs, () => timeout.abort())
    const signal = AbortSignal.any([timeout.signal, this.#host.signal])
    try {
      const answer = parseFetchAnswer(
        await this.#deps.net.request(peer, FETCH_PROTOCOL, body, { signal }),
      )
      if (!this.#host.signal.aborted) this.#note(peer, answer)
      return answer
    } catch (error) {
      // Unreachable, too slow or nonsense: the next peer is asked in all three cases.
      if (isUnknownProtocol(error)) this.#host.onSilent(peer)
      return undefined
    } finally {
      cancel()
    }
  }

  #note(peer: PeerId, answer: FetchAnswer): void {
    if (answer.kind !== "refused") this.#host.onSize(answer.sizeBytes, peer)
    else if (answer.code === "CONTENT_PRIVATE") this.#host.onPrivate()
    else if (answer.code !== "FETCHER_BUSY" && answer.code !== "NOT_FETCHING") {
      this.#refusal = refusalOf(answer.code, answer.retryAfterSeconds)
    }
  }
}

/** Whether the first of two peers ranks above the second. */
export function isAbove(
  digest: Digest,
  segment: number,
  [upper, lower]: readonly [PeerId, PeerId],
): boolean {
  return upper !== lower && rankFetchers(digest, segment, [upper, lower])[0] === upper
}

function isTurn(segment: Segment, turn: number): boolean {
  return segment.role.kind === "asking" && segment.role.turn === turn
}

function refusalOf(code: OriginErrorCode, retryAfterSeconds: number | undefined): OriginError {
  const details = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return new OriginError(code, "the origin refused the peer that was elected to ask it", {
    details,
  })
}

function isUnknownProtocol(error: unknown): boolean {
  return refusalCode(error) === "PROTOCOL_UNKNOWN"
}
