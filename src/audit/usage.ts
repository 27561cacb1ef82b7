/**
 * Records of use: what passed, by class and by peer, as events of the log, which signs them; and what
 * they come to (protocol/audit-log.md §5, records of use).
 * @module
 */
import type { Event, LoggedEvent } from "./event.ts"

/** Classes of traffic that are told apart. */
export const USAGE_CLASSES = ["lan", "wan", "metered"] as const
/** Peers of one record that are told by name; the others of it are one sum. */
const PEERS_RECORDED_MAX = 32
/** Peers, days and openings of one sum. */
const PEERS_MAX = 10_000
const DAYS_MAX = 4_000
const OPENED_MAX = 1_000
const DAY_CHARACTERS = "2000-01-01".length

export type UsageClass = (typeof USAGE_CLASSES)[number]

/** To others and from them, bytes. */
export interface Exchanged {
  readonly upBytes: number
  readonly downBytes: number
}

/** What passed, in both of its views. */
interface Passed {
  readonly classes: Readonly<Record<UsageClass, Exchanged>>
  /** The most first; undefined: those that are not named. */
  readonly peers: readonly (Exchanged & { readonly peer: string | undefined })[]
}

/** What passed in a span of time that ends now. */
export interface UsageRecord extends Passed {
  /** Milliseconds since 1970. */
  readonly fromMs: number
}

/** Gives the events of a record; none when nothing passed. */
export function eventsOfUsage({ fromMs, classes, peers }: UsageRecord): readonly Event[] {
  const sums = USAGE_CLASSES.flatMap((name) => [
    [`${name}Up`, classes[name].upBytes] as const,
    [`${name}Down`, classes[name].downBytes] as const,
  ]).filter(([, bytes]) => bytes > 0)
  if (sums.length === 0) return []
  const named = peers.filter(({ peer }) => peer !== undefined).slice(0, PEERS_RECORDED_MAX)
  const others = peers.filter((one) => !named.includes(one)).reduce(together, NOTHING)
  const facts = (one: Exchanged) => ({ from: fromMs, up: one.upBytes, down: one.downBytes })
  return [
    { event: "usage.metered", facts: { from: fromMs, ...Object.fromEntries(sums) } },
    ...named.map((one): Event => {
      return { event: "usage.exchanged", facts: { ...facts(one), peer: one.peer! } }
    }),
    ...(isNothing(others) ? [] : [{ event: "usage.exchanged", facts: facts(others) } as const]),
  ]
}

/** A release that was opened. */
export interface OpenedUse {
  readonly release: string
  readonly digest: string
  readonly atMs: number
  /** Of the event, by which it is proved. */
  readonly index: number
}

/** What records come to. */
export interface UsageTotals extends Passed {
  /** Records that were added. */
  readonly records: number
  /** By the day, UTC, on which a record ends, as `2026-11-30`; the first one first. */
  readonly days: readonly (Exchanged & { readonly day: string })[]
  /** The newest last. */
  readonly opened: readonly OpenedUse[]
}

/** Adds up records. Events come in any order; others than those of use are left out. */
export class UsageSum {
  #records = 0
  #classes = emptyClasses()
  readonly #peers = new Map<string | undefined, Exchanged>()
  readonly #days = new Map<string, Exchanged>()
  readonly #opened: OpenedUse[] = []

  add({ event, facts, atMs, index }: LoggedEvent): void {
    if (event === "usage.metered") {
      this.#records++
      this.#addClasses(classesOf(facts), atMs)
    } else if (event === "usage.exchanged") {
      const { peer } = facts
      const count = { upBytes: bytesOf(facts.up), downBytes: bytesOf(facts.down) }
      this.#addPeer(typeof peer === "string" ? peer : undefined, count)
    } else if (event === "release.opened" && this.#opened.length < OPENED_MAX) {
      const [release, digest] = [String(facts.release), String(facts.digest)]
      this.#opened.push({ release, digest, atMs, index })
    }
  }

  /** Adds what is in no record yet. */
  addRecord({ classes, peers }: UsageRecord, atMs: number): void {
    this.#addClasses(classes, atMs)
    for (const one of peers) this.#addPeer(one.peer, one)
  }

  get totals(): UsageTotals {
    return {
      records: this.#records,
      classes: this.#classes,
      peers: [...this.#peers]
        .map(([peer, count]) => ({ peer, ...count }))
        .toSorted((a, b) => sumOf(b) - sumOf(a)),
      days: [...this.#days]
        .map(([day, count]) => ({ day, ...count }))
        .toSorted((a, b) => (a.day < b.day ? -1 : 1)),
      opened: this.#opened.toSorted((a, b) => a.index - b.index),
    }
  }

  #addClasses(classes: UsageTotals["classes"], atMs: number): void {
    const day = new Date(atMs).toISOString().slice(0, DAY_CHARACTERS)
    const all = Object.values(classes).reduce(together, NOTHING)
    if (isNothing(all)) return
    this.#classes = mapClasses((name) => together(this.#classes[name], classes[name]))
    if (this.#days.has(day) || this.#days.size < DAYS_MAX) {
      this.#days.set(day, together(this.#days.get(day) ?? NOTHING, all))
    }
  }

  #addPeer(peer: string | undefined, count: Exchanged): void {
    const isKnown = this.#peers.has(peer) || this.#peers.size < PEERS_MAX
    const place = isKnown ? peer : undefined
    this.#peers.set(place, together(this.#peers.get(place) ?? NOTHING, count))
  }
}

const NOTHING: Exchanged = { upBytes: 0, downBytes: 0 }

/** Makes the value of each class. */
export function mapClasses<T>(make: (name: UsageClass) => T): Record<UsageClass, T> {
  return Object.fromEntries(USAGE_CLASSES.map((name) => [name, make(name)])) as never
}

const emptyClasses = (): Readonly<Record<UsageClass, Exchanged>> => mapClasses(() => NOTHING)

function classesOf(facts: Event["facts"]): Readonly<Record<UsageClass, Exchanged>> {
  return mapClasses((name) => {
    return { upBytes: bytesOf(facts[`${name}Up`]), downBytes: bytesOf(facts[`${name}Down`]) }
  })
}

const sumOf = ({ upBytes, downBytes }: Exchanged) => upBytes + downBytes
const isNothing = (count: Exchanged) => sumOf(count) === 0

function together(one: Exchanged, other: Exchanged): Exchanged {
  return { upBytes: one.upBytes + other.upBytes, downBytes: one.downBytes + other.downBytes }
}

/** A log may have been written by another version: what is no count counts for nothing. */
function bytesOf(fact: Event["facts"][string] | undefined): number {
  return typeof fact === "number" && Number.isSafeInteger(fact) && fact > 0 ? fact : 0
}
