/**
 * One tracker that is asked again and again (HTTP: BEP 3; UDP: BEP 15): when, and what is done with
 * the answers.
 * @module
 */
import type { Clock } from "../../core/clock.ts"
import { messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import type { Announced } from "./discovery.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** Between two announcements: what the tracker says, within these bounds. */
const INTERVAL_MS_MIN = 30_000
const INTERVAL_MS_MAX = 3_600_000
const INTERVAL_MS = 600_000
/** A tracker that failed is asked again after this time, doubled each time up to the second one. */
const RETRY_MS = 5_000
const RETRY_MS_MAX = 900_000
/** One announcement takes at most this long. */
export const ANNOUNCE_MS_MAX = 15_000
/** Addresses of one answer that are used. */
export const ADDRESSES_WANTED = 50
/** Said by who is not reached from outside: BEP 3 wants a port, and this one is nobody's. */
const NO_PORT = 1

/** What a tracker is told. */
export interface Announcement {
  readonly infoHash: Uint8Array
  readonly wirePeerId: Uint8Array
  readonly port: number
  readonly leftBytes: number
  readonly event: "started" | "stopped" | undefined
}

/** What a tracker answers. */
export interface AnnounceAnswer {
  readonly intervalSeconds: number
  readonly addresses: readonly PeerAddress[]
}

/** Tells a tracker, by its protocol. @throws whatever went wrong; it is logged, and tried again */
export type TrackerProtocol = (
  url: string,
  announcement: Announcement,
  options: { readonly mayBePrivate: boolean; readonly signal: AbortSignal },
) => Promise<AnnounceAnswer>

interface Entry {
  readonly torrent: Announced
  dueMs: number
  failures: number
  isBusy: boolean
  isTold: boolean
}

export class AnnounceTracker {
  readonly #deps: { readonly clock: Clock; readonly log: Logger; readonly wirePeerId: Uint8Array }
  readonly #options: {
    readonly url: string
    readonly mayBePrivate: boolean
    readonly protocol: TrackerProtocol
  }
  readonly #entries = new Map<Announced, Entry>()

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger; readonly wirePeerId: Uint8Array },
    options: {
      readonly url: string
      readonly mayBePrivate: boolean
      readonly protocol: TrackerProtocol
    },
  ) {
    this.#deps = deps
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#entries.size === 0
  }

  add(torrent: Announced): void {
    const entry = { torrent, dueMs: 0, failures: 0, isBusy: false, isTold: false }
    this.#entries.set(torrent, entry)
    void this.#announce(entry)
  }

  remove(torrent: Announced): void {
    const entry = this.#entries.get(torrent)
    this.#entries.delete(torrent)
    if (entry?.isTold === true) void this.#tell(torrent, "stopped").catch(() => undefined)
  }

  tick(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (!entry.isBusy && entry.dueMs <= nowMs) void this.#announce(entry)
    }
  }

  async #announce(entry: Entry): Promise<void> {
    entry.isBusy = true
    const { clock, log } = this.#deps
    let waitMs: number
    try {
      const event = entry.isTold ? undefined : "started"
      const { intervalSeconds, addresses } = await this.#tell(entry.torrent, event)
      entry.isTold = true
      entry.failures = 0
      if (!this.#entries.has(entry.torrent)) return
      // Trackers give who asks itself too, and others that are not reached from outside.
      const reachable = addresses.filter(({ port }) => port !== NO_PORT).slice(0, ADDRESSES_WANTED)
      for (const address of reachable) entry.torrent.onAddress(address)
      waitMs = boundedIntervalMs(intervalSeconds)
    } catch (error) {
      log.debug({ tracker: this.#options.url, error: messageOf(error) }, "a tracker failed")
      waitMs = Math.min(RETRY_MS * 2 ** entry.failures, RETRY_MS_MAX)
      entry.failures++
    } finally {
      entry.isBusy = false
    }
    entry.dueMs = clock.monotonicMs() + waitMs
  }

  #tell(torrent: Announced, event: Announcement["event"]): Promise<AnnounceAnswer> {
    const { url, mayBePrivate, protocol } = this.#options
    const announcement = {
      infoHash: torrent.infoHash,
      wirePeerId: this.#deps.wirePeerId,
      port: torrent.port() ?? NO_PORT,
      // Unknown is not nothing: 0 would say that this node seeds.
      leftBytes: torrent.leftBytes() ?? 1,
      event,
    }
    const signal = AbortSignal.timeout(ANNOUNCE_MS_MAX)
    return protocol(url, announcement, { mayBePrivate, signal })
  }
}

function boundedIntervalMs(seconds: number): number {
  if (!Number.isFinite(seconds) || seconds <= 0) return INTERVAL_MS
  return Math.min(Math.max(seconds * 1000, INTERVAL_MS_MIN), INTERVAL_MS_MAX)
}
