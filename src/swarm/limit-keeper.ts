/**
 * Puts the limits that hold now in force, and those that hold next when their time comes.
 * @module
 */
import { isDeepStrictEqual } from "node:util"
import type { Clock } from "../core/clock.ts"
import type { Logger } from "../core/log.ts"
import {
  type LimitRule,
  type LimitState,
  nextChangeMs,
  overlay,
  stateAt,
} from "./limit-schedule.ts"
import type { Shaping } from "./shaping.ts"

/** So often at least it is looked what holds: the machine's clock may be set, or have slept. */
const LOOK_MS_MAX = 30_000

/** What is configured. */
export interface LimitPlan {
  readonly base: LimitState
  readonly rules: readonly LimitRule[]
}

/** What holds now. */
export interface LimitReport {
  readonly limits: LimitState
  /** Limits that were set while the node ran; they hold whatever the configuration says. */
  readonly override: LimitState | undefined
  /** When a rule of the configuration may change something, milliseconds since 1970. */
  readonly nextChangeMs: number | undefined
}

export class LimitKeeper {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #shaping: Shaping
  readonly #plan: LimitPlan
  #override: LimitState | undefined
  #inForce: LimitState = {}
  #cancel: () => void = () => {}

  constructor(deps: { clock: Clock; log: Logger; shaping: Shaping }, plan: LimitPlan) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#shaping = deps.shaping
    this.#plan = plan
    this.#look()
  }

  report(): LimitReport {
    return {
      limits: this.#inForce,
      override: this.#override,
      nextChangeMs: nextChangeMs(this.#plan.rules, this.#clock.now()),
    }
  }

  /**
   * Sets limits until the node ends, or until they are taken back.
   * @param more - what is left out stays as it was set before
   */
  override(more: LimitState): void {
    this.#override = overlay(this.#override ?? {}, more)
    this.#look()
  }

  /** Takes back what was set: the configuration decides again. */
  reset(): void {
    this.#override = undefined
    this.#look()
  }

  stop(): void {
    this.#cancel()
  }

  #look(): void {
    this.#cancel()
    const nowMs = this.#clock.now()
    const { base, rules } = this.#plan
    const planned = stateAt(base, rules, nowMs)
    this.#apply(overlay(planned, this.#override ?? {}))
    const nextMs = nextChangeMs(rules, nowMs)
    if (nextMs === undefined) return
    const delayMs = Math.min(nextMs - nowMs, LOOK_MS_MAX)
    this.#cancel = this.#clock.after(delayMs, () => this.#look())
  }

  #apply(state: LimitState): void {
    if (isDeepStrictEqual(state, this.#inForce)) return
    this.#inForce = state
    this.#shaping.setLimits(state)
    this.#shaping.classes.setMetered(state.metered === true)
    this.#log.info({ limits: state }, "other limits are in force")
  }
}
