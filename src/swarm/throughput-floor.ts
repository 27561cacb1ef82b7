/**
 * The floor under the throughput of a torrent's sources. One that gives far less than the others,
 * although it is asked, holds pieces and buffers that others would have filled long ago: it loses its
 * requests to them and rests, each time longer. To be slow is no fault: nobody is banned for it.
 * @module
 */
import type { Bitfield } from "../core/bitfield.ts"
import type { PeerId } from "../net/net.ts"

/** A source that owes something for so long without a break is compared with the others. */
const WINDOW_MS = 5_000
/** The same after a rest: it has shown once that it is slow. */
const TRIAL_MS = 2_000
/** What a source gives is known when it has owed something for this time, breaks left out. */
const SAMPLE_MS = 1_000
/** A source is too slow with less than this part of what the one in the middle of the others gives. */
const FLOOR_SHARE: number = 1 / 8
/** How long it rests, doubled up to the maximum as long as each trial shows the same. */
const REST_MS_MIN = 5_000
const REST_MS_MAX = 60_000
/** When nothing came for this time from anybody, whoever rests is asked again. */
const DROUGHT_MS = 1_500

/** What is looked at of a source. */
export interface FlooredSource {
  readonly peer: PeerId
  readonly pieces: Bitfield
  /** Whether it owes something, and nothing on this side keeps it from giving that. */
  readonly isTried: boolean
  readonly isAskable: boolean
  readonly receivedBytes: number
  /** Takes all requests back; it is not asked before `untilMs`. */
  rest(untilMs: number): void
  /** May be asked again at once. */
  wake(): void
}

export interface FloorDeps {
  sources(): readonly FlooredSource[]
  /** Whether any of these pieces is missing here. */
  isUseful(pieces: Bitfield): boolean
  /** Milliseconds since something last came. */
  lastProgressMs(): number
  onRest?(peer: PeerId, figures: { rateBytes: number; othersBytes: number; restMs: number }): void
}

/** Bytes, and the time in which they were owed. */
interface Amount {
  ms: number
  bytes: number
}

/** What is known of one peer. */
interface Measure {
  /** Since it began to owe something. A turn that ends is a break: waiting for one is not slow. */
  readonly streak: Amount
  readonly sample: Amount
  /** Of the last whole sample, bytes per second. */
  rateBytes: number | undefined
  /** At the last look. */
  wasTried: boolean
  receivedBytes: number
  /** Rests since it was last fast enough. */
  restCount: number
  restsUntilMs: number
}

/** The floor of one torrent. */
export class ThroughputFloor {
  readonly #deps: FloorDeps
  /** By peer, so that who comes back goes on where it was. */
  readonly #measures = new Map<PeerId, Measure>()
  #lookedMs: number

  constructor(deps: FloorDeps, nowMs: number) {
    this.#deps = deps
    this.#lookedMs = nowMs
  }

  tick(nowMs: number): void {
    const elapsedMs = nowMs - this.#lookedMs
    this.#lookedMs = nowMs
    const sources = this.#deps.sources()
    for (const source of sources) take(this.#measureOf(source), source, elapsedMs)
    for (const source of sources) this.#look(source, nowMs)
  }

  #look(source: FlooredSource, nowMs: number): void {
    const measure = this.#measureOf(source)
    if (measure.restsUntilMs > nowMs) {
      if (this.#isMissed(source, nowMs)) {
        measure.restsUntilMs = 0
        source.wake()
      }
    } else if (measure.streak.ms >= (measure.restCount > 0 ? TRIAL_MS : WINDOW_MS)) {
      this.#judge(source, measure, nowMs)
    }
  }

  #measureOf({ peer, receivedBytes }: FlooredSource): Measure {
    let measure = this.#measures.get(peer)
    // It was attached anew, and counts from 0.
    if (measure !== undefined && measure.receivedBytes > receivedBytes) measure.receivedBytes = 0
    if (measure === undefined) {
      measure = {
        streak: { ms: 0, bytes: 0 },
        sample: { ms: 0, bytes: 0 },
        rateBytes: undefined,
        wasTried: false,
        receivedBytes,
        restCount: 0,
        restsUntilMs: 0,
      }
      this.#measures.set(peer, measure)
    }
    return measure
  }

  #judge(source: FlooredSource, measure: Measure, nowMs: number): void {
    const rateBytes = takeRate(measure.streak)
    const others = this.#others(source, nowMs)
    const othersBytes = middleOf(others.map(({ peer }) => this.#measures.get(peer)?.rateBytes ?? 0))
    if (rateBytes >= othersBytes * FLOOR_SHARE) {
      measure.restCount = 0
      return
    }
    // Slow is better than not at all.
    if (this.#isAlone(source, others)) return
    const restMs = Math.min(REST_MS_MIN * 2 ** measure.restCount, REST_MS_MAX)
    measure.restCount++
    measure.restsUntilMs = nowMs + restMs
    this.#deps.onRest?.(source.peer, { rateBytes, othersBytes, restMs })
    source.rest(measure.restsUntilMs)
  }

  /** The others that could be asked now, and of which it is known what they give. */
  #others(source: FlooredSource, nowMs: number): FlooredSource[] {
    return this.#deps.sources().filter((other) => {
      const known = this.#measures.get(other.peer)
      if (other === source || known?.rateBytes === undefined || !other.isAskable) return false
      return known.restsUntilMs <= nowMs
    })
  }

  /** Whether it has something missing that none of the others has. */
  #isAlone(source: FlooredSource, others: readonly FlooredSource[]): boolean {
    return this.#deps.isUseful(source.pieces.without(others.map(({ pieces }) => pieces)))
  }

  /** Whether the others are gone, or give nothing. */
  #isMissed(source: FlooredSource, nowMs: number): boolean {
    if (this.#deps.lastProgressMs() > DROUGHT_MS) return true
    const others = this.#deps.sources().filter((other) => {
      return other !== source && this.#measureOf(other).restsUntilMs <= nowMs
    })
    return this.#isAlone(source, others)
  }
}

/** Adds what came since the last look, and the time if something was owed all the while. */
function take(measure: Measure, source: FlooredSource, elapsedMs: number): void {
  const { streak, sample, wasTried } = measure
  const { isTried, receivedBytes } = source
  const bytes = receivedBytes - measure.receivedBytes
  measure.receivedBytes = receivedBytes
  measure.wasTried = isTried
  for (const amount of [streak, sample]) {
    amount.bytes += bytes
    if (isTried && wasTried) amount.ms += elapsedMs
  }
  if (sample.ms >= SAMPLE_MS) measure.rateBytes = takeRate(sample)
  if (!isTried) takeRate(streak)
}

/** Gives bytes per second, and begins anew. */
function takeRate(amount: Amount): number {
  const rateBytes = (amount.bytes * 1000) / amount.ms
  amount.ms = 0
  amount.bytes = 0
  return rateBytes
}

/** The upper of the two in the middle; 0 of none. */
function middleOf(rates: readonly number[]): number {
  return [...rates].sort((a, b) => a - b)[rates.length >> 1] ?? 0
}
