/**
 * Peers that are refused for a time; in memory and bounded.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { BANS_MAX } from "./limit.ts"
import type { PeerId } from "./net.ts"

/** One ban. `untilMs` is wall time. */
export interface Ban {
  readonly peer: PeerId
  readonly reason: string
  readonly untilMs: number
}

/** The bans of one node. */
export class BanList {
  readonly #clock: Clock
  readonly #bans = new Map<PeerId, Ban>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Adds a ban; a longer one that is already there stays. */
  add(peer: PeerId, reason: string, durationMs: number): void {
    const untilMs = this.#clock.now() + durationMs
    const known = this.#bans.get(peer)
    if (known !== undefined && known.untilMs >= untilMs) return
    this.#bans.set(peer, { peer, reason, untilMs })
    if (this.#bans.size > BANS_MAX) this.#dropFirstToEnd()
  }

  has(peer: PeerId): boolean {
    const ban = this.#bans.get(peer)
    if (ban === undefined) return false
    if (ban.untilMs > this.#clock.now()) return true
    this.#bans.delete(peer)
    return false
  }

  /** Bans that still run. */
  all(): readonly Ban[] {
    return [...this.#bans.values()].filter((ban) => this.has(ban.peer))
  }

  #dropFirstToEnd(): void {
    const [first] = [...this.#bans.values()].sort((a, b) => a.untilMs - b.untilMs)
    if (first !== undefined) this.#bans.delete(first.peer)
  }
}
