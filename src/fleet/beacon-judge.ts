/**
 * What follows from the beacons of a fleet's witnesses: whether this node is held back from what they
 * have, and whether enough of them are heard at all (protocol/beacon.md §5, judging).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import type { Beacon } from "./beacon.ts"
import { type FleetPlace, lackedOf, PLACE_NAMES, type PlaceName } from "./fleet-place.ts"

/** For so long a node may lack what its witnesses have: it takes time to fetch. */
export const HELD_BACK_AFTER_MS = 900_000
/** A witness that said nothing for so long is not heard. */
export const UNHEARD_AFTER_MS = 3_600_000

/** Enough witnesses have something newer, and have had it for longer than it takes to fetch. */
export interface HeldBack {
  /** How many say so … */
  readonly count: number
  /** … and of how many. */
  readonly total: number
  /** What is newer there, by any of them. */
  readonly lacks: readonly PlaceName[]
}

/** Too few witnesses have been heard of late for knowing that nothing newer is kept back. */
export interface Unheard {
  readonly heard: number
  readonly needed: number
  readonly total: number
}

/** What a witness was found to have newer, and since when, by the monotonic clock. */
interface Pin {
  readonly place: FleetPlace
  readonly sinceMs: number
}

/** One per fleet; it remembers since when something is lacking. */
export class BeaconJudge {
  readonly #clock: Pick<Clock, "monotonicMs">
  readonly #self: string
  readonly #pins = new Map<PublicKey, Pin>()
  #list: WitnessList | undefined
  /** Since when these witnesses could have been heard. */
  #namedMs: number

  /** @param options.self - the peer id of this node */
  constructor(clock: Pick<Clock, "monotonicMs">, { self }: { readonly self: string }) {
    this.#clock = clock
    this.#self = self
    this.#namedMs = clock.monotonicMs()
  }

  /** These are the witnesses now. */
  name(list: WitnessList | undefined): void {
    if (list?.version !== this.#list?.version) this.#namedMs = this.#clock.monotonicMs()
    this.#list = list
    const keys = new Set(list?.witnesses.map(({ key }) => key))
    for (const key of this.#pins.keys()) if (!keys.has(key)) this.#pins.delete(key)
  }

  /**
   * Looks at what has changed: here, or in what was heard.
   * @param beacons - the last one of each witness that is named
   */
  look(here: FleetPlace, beacons: readonly Beacon[]): void {
    for (const { key, peer, place } of beacons) {
      // What this node itself says shows nothing.
      const isNewer = peer !== this.#self && lackedOf(here, place).length > 0
      const pin = this.#pins.get(key)
      if (!isNewer) this.#pins.delete(key)
      // Judged by what it had when this node was first seen to lack it, not by what comes after: a busy
      // fleet is always ahead of a node by something, and one that follows is not held back.
      else if (pin === undefined || lackedOf(here, pin.place).length === 0) {
        this.#pins.set(key, { place, sinceMs: this.#clock.monotonicMs() })
      }
    }
  }

  /** @returns undefined while so few say so that all of them may lie, or it has only just become so */
  heldBack(here: () => FleetPlace): HeldBack | undefined {
    // Mostly there are none, and it is asked at every turn.
    if (this.#list === undefined || this.#pins.size === 0) return undefined
    const dueMs = this.#clock.monotonicMs() - HELD_BACK_AFTER_MS
    const late = [...this.#pins.values()].filter(({ sinceMs }) => sinceMs <= dueMs)
    const lacked = late.map(({ place }) => lackedOf(here(), place))
    const lacking = lacked.filter(({ length }) => length > 0)
    const { faultyMax, witnesses } = this.#list
    // f+1: one of them is honest, and has it.
    if (lacking.length <= faultyMax) return undefined
    const lacks = PLACE_NAMES.filter((name) => lacking.some((names) => names.includes(name)))
    return { count: lacking.length, total: witnesses.length, lacks }
  }

  /**
   * @param nowMs - trusted time
   * @returns undefined when enough were heard, or could not have been yet
   */
  unheard(nowMs: number, beacons: readonly Beacon[]): Unheard | undefined {
    const needed = this.#needed()
    if (this.#list === undefined || needed === 0) return undefined
    if (this.#clock.monotonicMs() - this.#namedMs < UNHEARD_AFTER_MS) return undefined
    const fresh = beacons.filter(({ peer, atMs }) => {
      return peer !== this.#self && nowMs - atMs < UNHEARD_AFTER_MS
    })
    if (fresh.length >= needed) return undefined
    return { heard: fresh.length, needed, total: this.#list.witnesses.length }
  }

  /**
   * 2f+1, so that with f liars among them f+1 are left that are honest, which is as many as raise the
   * alarm; and never so many that f which are silent could make it fail.
   */
  #needed(): number {
    const { faultyMax = 0, witnesses = [] } = this.#list ?? {}
    const others = witnesses.filter(({ peer }) => peer !== this.#self).length
    return others === 0 ? 0 : Math.min(2 * faultyMax + 1, others - faultyMax)
  }
}
