/**
 * Tells the DHT what this node has, slowly and again and again, and asks it who has a blob.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"

/** At most one record goes out per this time … */
const PROVIDE_EVERY_MS = 200
/** … and none while blobs come and go, or soon after: a walk through the DHT costs as much as ten small blobs. */
const QUIET_MS = 5_000
/** What waited for so long goes out all the same, … */
const WAIT_MS_MAX = 60_000
/** … at most one record per this time. */
const PROVIDE_BUSY_MS = 2_000
/**
 * Where many have got the same at one moment, one a second begins: a first walk also connects a node to
 * all that it meets, and some dozens at once would keep every machine busy for ten seconds.
 */
const SPREAD_MS_A_PEER = 1_000
const SPREAD_MS_MAX = 55_000
/**
 * After a walk as many times as long as it took is without one: with some dozens of nodes each walk asks all
 * of them, and where all tell of what has just come to all, nothing else would be done for a minute.
 */
const REST_TIMES = 9
const REST_MS_MAX = 30_000
/** Records of kad-dht live 48 hours; they are renewed well before. */
const RENEW_MS: number = 12 * 60 * 60 * 1000
const PROVIDE_MS_MAX = 20_000
/** Blobs that are told; a node with more tells of the ones that came first. */
const PROVIDED_MAX = 50_000

/** Gives the DHT key of a blob: 32 bytes that do not show its digest. */
export function providerKey(digest: Digest): Uint8Array {
  return sha256(lengthPrefixed("sealift/provider/v1", rawOf(digest)))
}

export interface ProvidingDeps {
  readonly net: Pick<PeerNetwork, "id" | "peers" | "peer" | "provide">
  readonly clock: Clock
  readonly log: Logger
  /** All who could ask the DHT, this node too; none where nobody knows. */
  readonly fleet: () => Iterable<PeerId>
  /** From 0 to below 1. */
  readonly random: () => number
}

export class Providing {
  readonly #net: ProvidingDeps["net"]
  readonly #clock: Clock
  readonly #log: Logger
  readonly #fleet: ProvidingDeps["fleet"]
  readonly #random: () => number
  /** When each blob is due. A map keeps its order, and renewal goes to the end. */
  readonly #due = new Map<Digest, number>()
  readonly #closing = new AbortController()
  #isRunning = false
  #restUntilMs = Number.NEGATIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY
  /** From when on nothing else goes on; undefined while blobs come in or go out. */
  #quietAtMs: number | undefined = Number.NEGATIVE_INFINITY

  constructor(deps: ProvidingDeps) {
    this.#net = deps.net
    this.#fleet = deps.fleet
    this.#random = deps.random
    this.#clock = deps.clock
    this.#log = deps.log
  }

  add(digest: Digest): void {
    if (this.#due.has(digest) || this.#due.size >= PROVIDED_MAX) return
    this.#due.set(digest, this.#clock.monotonicMs())
  }

  remove(digest: Digest): void {
    this.#due.delete(digest)
  }

  /** @param isBusy - whether blobs come in or go out at this time */
  tick(nowMs: number, isBusy: boolean): void {
    this.#quietAtMs = isBusy ? undefined : (this.#quietAtMs ?? nowMs + this.#pauseMs())
    const isQuiet = this.#quietAtMs !== undefined && nowMs >= this.#quietAtMs
    const everyMs = isQuiet ? PROVIDE_EVERY_MS : PROVIDE_BUSY_MS
    if (this.#isRunning || nowMs - this.#lastMs < everyMs || nowMs < this.#restUntilMs) return
    const next = this.#nextDue(isQuiet ? nowMs : nowMs - WAIT_MS_MAX)
    // When nobody is there to be told, or to be told by it, what is due stays due.
    if (next === undefined || this.#net.peers().length === 0) return
    if (this.#isWhole()) {
      // Who is away for a moment only is told when it is back.
      this.#quietAtMs = nowMs + this.#pauseMs()
      return
    }
    this.#lastMs = nowMs
    void this.#provide(next)
  }

  stop(): void {
    this.#closing.abort()
  }

  #nextDue(nowMs: number): Digest | undefined {
    const [first] = this.#due
    if (first === undefined) return undefined
    if (first[1] <= nowMs) return first[0]
    // New blobs stand at the end, renewals before them.
    const last = [...this.#due].findLast(([, dueMs]) => dueMs <= nowMs)
    return last?.[0]
  }

  #pauseMs(): number {
    const others = Math.max(this.#net.peers().length, [...this.#fleet()].length - 1)
    const spreadMs = Math.min(others * SPREAD_MS_A_PEER, SPREAD_MS_MAX)
    return QUIET_MS + this.#random() * spreadMs
  }

  /** Whether all who could ask are connected: this node tells them itself. */
  #isWhole(): boolean {
    let isKnown = false
    for (const peer of this.#fleet()) {
      if (peer !== this.#net.id && this.#net.peer(peer) === undefined) return false
      isKnown = true
    }
    return isKnown
  }

  async #provide(digest: Digest): Promise<void> {
    this.#isRunning = true
    this.#due.delete(digest)
    const beganMs = this.#clock.monotonicMs()
    this.#due.set(digest, beganMs + RENEW_MS)
    const timeout = new AbortController()
    const cancel = this.#clock.after(PROVIDE_MS_MAX, () => timeout.abort())
    try {
      const signal = AbortSignal.any([this.#closing.signal, timeout.signal])
      await this.#net.provide(providerKey(digest), { signal })
    } catch (error) {
      this.#log.debug({ digest, error: messageOf(error) }, "a blob was not told to the DHT")
    } finally {
      cancel()
      this.#isRunning = false
      const nowMs = this.#clock.monotonicMs()
      this.#restUntilMs = nowMs + Math.min((nowMs - beganMs) * REST_TIMES, REST_MS_MAX)
    }
  }
}
