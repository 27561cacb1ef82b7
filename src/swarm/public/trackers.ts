/**
 * All trackers of all public torrents: one client per tracker, by the scheme of its URL.
 * @module
 */
import type { Clock } from "../../core/clock.ts"
import { AnnounceTracker, type TrackerProtocol } from "./announce-tracker.ts"
import type { Announced, Discovery } from "./discovery.ts"
import { announceByHttp } from "./http-announce.ts"
import { announceByUdp } from "./udp-announce.ts"
import { WebSocketTracker, type WebSocketTrackerDeps } from "./websocket-tracker.ts"

/** Trackers that one node talks to. */
const TRACKERS_MAX = 64
const TICK_MS = 500

/** A client of one tracker. */
interface TrackerClient {
  readonly isIdle: boolean
  add(torrent: Announced): void
  remove(torrent: Announced): void
  tick(nowMs: number): void
}

const PROTOCOLS: Readonly<Record<string, TrackerProtocol>> = {
  "http:": announceByHttp,
  "https:": announceByHttp,
  "udp:": announceByUdp,
}

/** Makes the discovery by trackers. */
export function createTrackers(deps: WebSocketTrackerDeps): Discovery {
  return new Trackers(deps)
}

class Trackers implements Discovery {
  readonly #deps: WebSocketTrackerDeps
  readonly #clock: Clock
  readonly #clients = new Map<string, TrackerClient>()
  #cancelTick: (() => void) | undefined

  constructor(deps: WebSocketTrackerDeps) {
    this.#deps = deps
    this.#clock = deps.clock
  }

  announce(torrent: Announced): () => void {
    const used = torrent.trackers.flatMap((tracker) => this.#client(tracker) ?? [])
    for (const client of used) client.add(torrent)
    this.#schedule()
    return () => {
      for (const client of used) client.remove(torrent)
      for (const [key, client] of this.#clients) if (client.isIdle) this.#clients.delete(key)
      if (this.#clients.size === 0) this.#unschedule()
    }
  }

  async stop(): Promise<void> {
    this.#unschedule()
    await this.#deps.rtc.stop()
  }

  #client({ url, mayBePrivate }: Announced["trackers"][number]): TrackerClient | undefined {
    const key = `${mayBePrivate} ${url}`
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    if (this.#clients.size >= TRACKERS_MAX) return undefined
    const protocol = PROTOCOLS[new URL(url).protocol]
    const client =
      protocol === undefined
        ? new WebSocketTracker(this.#deps, url, { mayBePrivate })
        : new AnnounceTracker(this.#deps, { url, mayBePrivate, protocol })
    this.#clients.set(key, client)
    return client
  }

  #schedule(): void {
    if (this.#cancelTick !== undefined || this.#clients.size === 0) return
    this.#cancelTick = this.#clock.after(TICK_MS, () => {
      this.#cancelTick = undefined
      const nowMs = this.#clock.monotonicMs()
      for (const client of this.#clients.values()) client.tick(nowMs)
      this.#schedule()
    })
  }

  #unschedule(): void {
    this.#cancelTick?.()
    this.#cancelTick = undefined
  }
}
