/**
 * Who may fetch now. Members of a fleet owe each other nothing, so turns go round; there are few slots
 * so that a piece goes out whole, and can be passed on, before the next one is begun. A turn is a peer's,
 * however many connections and blobs it has.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import type { Upload } from "./upload.ts"

/** Slots that there are at least, when enough peers want one. */
export const SLOTS_MIN = 8
/** Slots at most. */
export const SLOTS_MAX = 64
/** A turn lasts at least this long and a piece, when others wait. */
const TURN_MS_MIN = 50
/** Who asks for nothing during this time loses the turn. */
const IDLE_MS = 200
/** The last piece of a turn is given this time to arrive, before the next one begins. */
const ARRIVAL_MS_MAX = 2_000
/** Who takes nothing of what it was sent for this long gives way to others; its requests would keep its turn for ever. */
const STUCK_MS_MAX = 10_000
/** It is tried now and then whether more slots bring more. */
const TRIAL_MS = 1_000
/**
 * All who are served at once get a piece each in about this time: on a link so slow that eight take longer,
 * fewer are served, since a piece that is on its way to eight for long is with nobody who could pass it on.
 */
const ROUND_MS = 1_000
/** Fewer leave the link idle between two turns. */
const SLOTS_LEAST = 4
const TRIAL_PAUSE_MS = 10_000
/** While hardly anybody has a piece to pass on, fewer are served, so that some have one soon: … */
const SLOTS_FIRST = 4
/** … until so many turns have ended since nobody had anything open here. */
const FIRST_TURNS = 16
/** More slots are kept if the rate grows by this part of what they would bring at best. */
const TRIAL_GAIN = 0.5

/** A connection that blobs are served over. */
export interface SlotHost {
  readonly peer: PeerId
  readonly server: {
    kick(): void
    /** Whether blocks were handed to its stream that the stream has not taken. */
    readonly isHeldUp: boolean
  }
}

type State = "waiting" | "served" | "ending"

interface Turn {
  readonly peer: PeerId
  /** All that it has open here, and over which connection. */
  readonly uploads: Map<Upload, SlotHost>
  state: State
  sinceMs: number
  /** When it was last given anything, or began. */
  movedMs: number
  sentBytes: number
  /** It held a turn and took nothing; true until it is sent more. */
  hasStuck: boolean
}

interface Trial {
  readonly slotsBefore: number
  readonly rateBefore: number
}

export class UploadSlots {
  readonly #clock: Clock
  readonly #isFixed: boolean
  readonly #turns = new Map<PeerId, Turn>()
  #slots: number
  /** Turns that ended since nobody had anything open here. */
  #endedTurns = 0
  #isBusy = false
  #sentBytes = 0
  #windowMs: number
  #trial: Trial | undefined
  #nextTrialMs: number

  /** @param options.slots - a fixed number; found by trial unless given */
  constructor(deps: { clock: Clock }, options: { slots?: number | undefined } = {}) {
    this.#clock = deps.clock
    this.#isFixed = options.slots !== undefined
    this.#slots = options.slots ?? SLOTS_MIN
    this.#windowMs = deps.clock.monotonicMs()
    this.#nextTrialMs = this.#windowMs + TRIAL_MS
  }

  get slots(): number {
    return this.#slots
  }

  /** A connection opened an upload. @returns whether the upload may begin */
  add(host: SlotHost, upload: Upload): boolean {
    const { peer } = host
    const nowMs = this.#clock.monotonicMs()
    if (this.#turns.size === 0) this.#endedTurns = 0
    let turn = this.#turns.get(peer)
    if (turn === undefined) {
      const isFree = upload.isInterested && this.#takenCount() < this.#limit
      const state = isFree ? "served" : "waiting"
      const times = { sinceMs: nowMs, movedMs: nowMs }
      turn = { peer, uploads: new Map(), state, ...times, sentBytes: 0, hasStuck: false }
      this.#turns.set(peer, turn)
    }
    turn.uploads.set(upload, host)
    return turn.state === "served"
  }

  remove({ peer }: SlotHost, upload: Upload): void {
    const turn = this.#turns.get(peer)
    if (turn?.uploads.delete(upload) !== true) return
    if (turn.uploads.size === 0) this.#turns.delete(peer)
    // Who closes what it has got says no more of its last piece.
    else if (turn.state === "ending" && hasArrived(turn)) this.#rest(turn)
    this.#fill()
  }

  /** What a peer wants has changed. */
  onInterest({ peer }: SlotHost): void {
    const turn = this.#turns.get(peer)
    if (turn?.state === "served" && isUnused(turn)) this.#endIdle(turn)
    this.#fill()
    if (!this.#isAnybodyWaiting()) return
    // Slots that nobody else wanted went to some who want nothing.
    const unused = [...this.#turns.values()].find((one) => one.state === "served" && isUnused(one))
    if (unused !== undefined) this.#endIdle(unused)
  }

  /** Blocks were handed to a connection. */
  onSent({ peer }: SlotHost, blockBytes: number): void {
    this.#sentBytes += blockBytes
    const turn = this.#turns.get(peer)
    if (turn === undefined) return
    turn.sentBytes += blockBytes
    turn.movedMs = this.#clock.monotonicMs()
    turn.hasStuck = false
    if (turn.state === "served" && this.#isOver(turn) && this.#isAnybodyWaiting()) {
      turn.state = "ending"
    }
    if (turn.state === "ending") this.#chokeAtBoundary(turn)
  }

  /** A peer told that it has a piece. */
  onHave({ peer }: SlotHost): void {
    const turn = this.#turns.get(peer)
    if (turn?.state === "ending" && hasArrived(turn)) this.#rest(turn)
  }

  tick(nowMs: number): void {
    for (const turn of this.#turns.values()) {
      if (turn.state === "ending" && nowMs - turn.movedMs > ARRIVAL_MS_MAX) this.#rest(turn)
      const isQuiet = turn.state === "served" && !isAsking(turn) && hasArrived(turn)
      const isIdle = isQuiet && nowMs - turn.movedMs > IDLE_MS
      const isHeld = turn.state !== "waiting" && isHeldUp(turn)
      const isStuck = isHeld && (turn.hasStuck || nowMs - turn.movedMs > STUCK_MS_MAX)
      if (!(isIdle || isStuck) || !this.#isAnybodyWaiting()) continue
      turn.hasStuck = isStuck
      this.#endIdle(turn)
    }
    this.#fill()
    if (!this.#isFixed) this.#tryMore(nowMs)
  }

  /** How many may be served now. */
  get #limit(): number {
    const isFirst = !this.#isFixed && this.#endedTurns < FIRST_TURNS
    return isFirst ? Math.min(this.#slots, SLOTS_FIRST) : this.#slots
  }

  /** @param rate - bytes a millisecond that go out while somebody waits */
  #usualSlots(rate: number): number {
    let pieceBytes = 0
    for (const turn of this.#turns.values()) {
      if (turn.state !== "waiting") pieceBytes = Math.max(pieceBytes, pieceBytesOf(turn))
    }
    if (pieceBytes === 0) return SLOTS_MIN
    return Math.min(Math.max(Math.round((rate * ROUND_MS) / pieceBytes), SLOTS_LEAST), SLOTS_MIN)
  }

  #endIdle(turn: Turn): void {
    for (const upload of turn.uploads.keys()) upload.choke(true)
    this.#rest(turn)
  }

  /** Ends a turn between two pieces, so that no piece is left half sent. */
  #chokeAtBoundary(turn: Turn): void {
    let isAll = true
    for (const upload of turn.uploads.keys()) {
      if (upload.isAtBoundary) upload.choke(true)
      else isAll = false
    }
    if (isAll && hasArrived(turn)) this.#rest(turn)
  }

  #rest(turn: Turn): void {
    this.#endedTurns++
    for (const upload of turn.uploads.keys()) upload.choke(true)
    turn.state = "waiting"
    turn.sinceMs = this.#clock.monotonicMs()
    this.#fill()
  }

  /** Gives free slots to those who wait longest; to who wants or takes nothing only what nobody else wants. */
  #fill(): void {
    const free = this.#limit - this.#takenCount()
    if (free <= 0) {
      this.#isBusy = true
      return
    }
    const waiting = [...this.#turns.values()].filter(({ state }) => state === "waiting")
    const rank = (turn: Turn) => (isStuck(turn) ? 2 : isInterested(turn) ? 0 : 1)
    waiting.sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs)
    for (const turn of waiting.slice(0, free)) this.#begin(turn)
  }

  #begin(turn: Turn): void {
    const nowMs = this.#clock.monotonicMs()
    turn.state = "served"
    turn.sinceMs = nowMs
    turn.movedMs = nowMs
    turn.sentBytes = 0
    for (const upload of turn.uploads.keys()) upload.choke(false)
    for (const { server } of new Set(turn.uploads.values())) server.kick()
  }

  #isOver(turn: Turn): boolean {
    return turn.sentBytes >= pieceBytesOf(turn) && turn.movedMs - turn.sinceMs >= TURN_MS_MIN
  }

  #takenCount(): number {
    let count = 0
    for (const { state } of this.#turns.values()) if (state !== "waiting") count++
    return count
  }

  #isAnybodyWaiting(): boolean {
    for (const turn of this.#turns.values()) {
      if (turn.state === "waiting" && isInterested(turn) && !isStuck(turn)) return true
    }
    return false
  }

  /**
   * Where the links of those who are served are the limit, and not this node's, more slots bring more.
   * Nobody can tell which it is, so it is tried.
   */
  #tryMore(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowMs
    if (elapsedMs < TRIAL_MS) return
    const rate = this.#sentBytes / elapsedMs
    const isFull = this.#isBusy && this.#isAnybodyWaiting()
    this.#windowMs = nowMs
    this.#sentBytes = 0
    this.#isBusy = false
    const trial = this.#trial
    this.#trial = undefined
    if (trial !== undefined) {
      const share = (this.#slots - trial.slotsBefore) / trial.slotsBefore
      if (rate < trial.rateBefore * (1 + share * TRIAL_GAIN)) {
        this.#slots = trial.slotsBefore
        this.#nextTrialMs = nowMs + TRIAL_PAUSE_MS
        return
      }
      this.#nextTrialMs = nowMs
    }
    const usual = isFull ? this.#usualSlots(rate) : SLOTS_MIN
    if (usual < SLOTS_MIN) {
      this.#slots = usual
      return
    }
    if (!isFull) {
      this.#slots = Math.max(SLOTS_MIN, this.#slots - 1)
      return
    }
    this.#slots = Math.max(SLOTS_MIN, this.#slots)
    if (nowMs < this.#nextTrialMs || this.#slots >= SLOTS_MAX) return
    this.#trial = { slotsBefore: this.#slots, rateBefore: rate }
    this.#slots = Math.min(SLOTS_MAX, this.#slots + Math.ceil(this.#slots / 2))
    this.#fill()
  }
}

/** Of the blob with the longest pieces. */
function pieceBytesOf({ uploads }: Turn): number {
  let bytes = 0
  for (const { reader } of uploads.keys()) bytes = Math.max(bytes, reader.layout.lengthBytes)
  return bytes
}

function isInterested({ uploads }: Turn): boolean {
  for (const upload of uploads.keys()) if (upload.isInterested) return true
  return false
}

/** Whether it would hold its next turn as it held the last one. */
function isStuck(turn: Turn): boolean {
  return turn.hasStuck && isHeldUp(turn)
}

/** Whether one of its connections does not take what it was given. */
function isHeldUp({ uploads }: Turn): boolean {
  for (const { server } of uploads.values()) if (server.isHeldUp) return true
  return false
}

function isAsking({ uploads }: Turn): boolean {
  for (const upload of uploads.keys()) if (upload.requests.count > 0) return true
  return false
}

/** Whether a turn could be given to somebody else at once. */
function isUnused(turn: Turn): boolean {
  return !isInterested(turn) && !isAsking(turn) && hasArrived(turn)
}

/** Whether the peer told that it has the last piece that it was sent, of each of its blobs. */
function hasArrived({ uploads }: Turn): boolean {
  for (const { arrivingIndex } of uploads.keys()) if (arrivingIndex !== undefined) return false
  return true
}
