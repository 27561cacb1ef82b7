/**
 * Keeps connections to peers that this node wants: dials, and dials again with growing pauses.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerSource } from "./net.ts"

const FIRST_PAUSE_MS = 500
const PAUSE_MS_MAX = 30_000
/** Peers that are only hoped for (remembered, found by mDNS) are given up after so many failures. */
const HOPED_ATTEMPTS_MAX = 4
/** Peers that are dialled for at once. */
const TARGETS_MAX = 256

/** What the keeper needs of the network. */
export interface KeeperDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Connects, or does nothing when the peer is connected already. */
  readonly dial: (target: KeptTarget, signal: AbortSignal) => Promise<PeerId>
  /** Resolves when the peer is not connected (any more). */
  readonly untilGone: (peer: PeerId, signal: AbortSignal) => Promise<void>
}

/** One peer to connect to: all its multiaddrs, and whether it is dialled for ever. */
export interface KeptTarget {
  readonly addresses: readonly string[]
  readonly isConfigured: boolean
  /** What is noted of the peer once it is met. */
  readonly source?: PeerSource
}

/** One loop per target, until it is stopped. */
export class PeerKeeper {
  readonly #deps: KeeperDeps
  readonly #stopped = new AbortController()
  /** Each with what ends its pause. */
  readonly #targets = new Map<string, () => void>()

  constructor(deps: KeeperDeps) {
    this.#deps = deps
  }

  /**
   * Begins to keep a target; a configured one that is kept already is tried at once.
   * @param name - the same name is kept only once at a time
   */
  keep(name: string, target: KeptTarget, firstPauseMs = 0): void {
    if (this.#stopped.signal.aborted) return
    const wake = this.#targets.get(name)
    if (target.isConfigured) wake?.()
    if (wake !== undefined) return
    if (this.#targets.size >= TARGETS_MAX && !target.isConfigured) return
    this.#run(name, target, firstPauseMs)
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#deps.log.error({ name, error: messageOf(error) }, "stopped keeping a peer")
      })
      .finally(() => this.#targets.delete(name))
  }

  stop(): void {
    this.#stopped.abort(new Error("the network is stopping"))
  }

  async #run(name: string, target: KeptTarget, firstPauseMs: number): Promise<void> {
    const { signal } = this.#stopped
    await this.#pause(name, firstPauseMs)
    let failures = 0
    while (!signal.aborted) {
      const peer = await this.#tryToDial(target, failures)
      if (peer === undefined) {
        failures++
        if (!target.isConfigured && failures >= HOPED_ATTEMPTS_MAX) return
      } else {
        failures = 0
        await this.#deps.untilGone(peer, signal)
        if (!target.isConfigured) return
      }
      await this.#pause(name, pauseMs(failures))
    }
  }

  /** Waits, unless somebody wants the target now. */
  async #pause(name: string, ms: number): Promise<void> {
    const waking = new AbortController()
    this.#targets.set(name, () => waking.abort())
    if (ms === 0) return
    const signal = AbortSignal.any([this.#stopped.signal, waking.signal])
    try {
      await this.#deps.clock.sleep(ms, { signal })
    } catch {
      this.#stopped.signal.throwIfAborted()
    }
  }

  async #tryToDial(target: KeptTarget, failures: number): Promise<PeerId | undefined> {
    const { signal } = this.#stopped
    try {
      return await this.#deps.dial(target, signal)
    } catch (error) {
      signal.throwIfAborted()
      const fields = { to: target.addresses, error: messageOf(error), code: codeOf(error) }
      const isFirst = failures === 0 && target.isConfigured
      this.#deps.log[isFirst ? "warn" : "debug"](fields, "cannot reach a peer")
      return undefined
    }
  }
}

/** Doubles from half a second to half a minute; half of it is random, so that nodes spread. */
function pauseMs(failures: number): number {
  const ceiling = Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16))
  return ceiling / 2 + (Math.random() * ceiling) / 2
}
