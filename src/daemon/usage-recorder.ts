/**
 * Writes down what passed, each quarter of an hour and when the node stops (protocol/audit-log.md §5,
 * records of use).
 * @module
 */
import type { Event } from "../audit/event.ts"
import { eventsOfUsage, mapClasses, type UsageClass, type UsageRecord } from "../audit/usage.ts"
import type { Clock } from "../core/clock.ts"
import type { Shaping } from "../swarm/shaping.ts"

/** What passed since the last record is lost when the process dies without a word. */
const RECORD_MS: number = 15 * 60_000

interface Passed {
  readonly up: Readonly<Record<UsageClass, number>>
  readonly down: Readonly<Record<UsageClass, number>>
}

export interface UsageRecorderDeps {
  readonly clock: Clock
  readonly shaping: Pick<Shaping, "up" | "down" | "meter">
  readonly note: (event: Event) => void
}

export class UsageRecorder {
  readonly #deps: UsageRecorderDeps
  #fromMs: number
  #before: Passed
  #cancel: () => void

  constructor(deps: UsageRecorderDeps) {
    this.#deps = deps
    this.#fromMs = deps.clock.now()
    this.#before = this.#passed()
    this.#cancel = this.#later()
  }

  /** What passed since the last record. */
  get open(): UsageRecord {
    return this.#recordOf(this.#deps.shaping.meter.traffic)
  }

  /** Writes the last record. */
  stop(): void {
    this.#cancel()
    this.#record()
  }

  #later(): () => void {
    return this.#deps.clock.after(RECORD_MS, () => {
      this.#record()
      this.#cancel = this.#later()
    })
  }

  #record(): void {
    const { clock, shaping, note } = this.#deps
    const record = this.#recordOf(shaping.meter.take())
    this.#fromMs = clock.now()
    this.#before = this.#passed()
    for (const event of eventsOfUsage(record)) note(event)
  }

  #recordOf(peers: UsageRecord["peers"]): UsageRecord {
    const [before, now] = [this.#before, this.#passed()]
    const classes = mapClasses((name) => ({
      // What was counted and did not pass after all may be of the record before.
      upBytes: Math.max(0, now.up[name] - before.up[name]),
      downBytes: Math.max(0, now.down[name] - before.down[name]),
    }))
    return { fromMs: this.#fromMs, classes, peers }
  }

  #passed(): Passed {
    const { up, down } = this.#deps.shaping
    return { up: { ...up.passedBytes }, down: { ...down.passedBytes } }
  }
}
