/**
 * The web seeds of one torrent: opened when its metainfo is known, and again after a while when one
 * failed.
 * @module
 */
import type { Duplex } from "node:stream"
import type { Clock } from "../../core/clock.ts"
import { messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import type { Metainfo } from "../metainfo.ts"
import { formatAddress } from "./public-listener.ts"
import { openWebSeed } from "./web-seed.ts"

/** One that failed is tried again after this time, doubled each time up to the second one. */
const RETRY_MS = 5_000
const RETRY_MS_MAX = 300_000

export interface WebSeedsDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly connected: (duplex: Duplex, address: string) => void
}

interface Entry {
  readonly url: string
  isOpen: boolean
  failures: number
  dueMs: number
}

export class WebSeeds {
  readonly #deps: WebSeedsDeps
  readonly #mayBePrivate: boolean
  readonly #entries: readonly Entry[]
  #isStopped = false

  constructor(
    deps: WebSeedsDeps,
    options: { readonly urls: readonly string[]; readonly mayBePrivate: boolean },
  ) {
    this.#deps = deps
    this.#mayBePrivate = options.mayBePrivate
    this.#entries = options.urls.map((url) => ({ url, isOpen: false, failures: 0, dueMs: 0 }))
  }

  tick(metainfo: Metainfo | undefined): void {
    if (metainfo === undefined || this.#isStopped) return
    const nowMs = this.#deps.clock.monotonicMs()
    for (const entry of this.#entries) {
      if (!entry.isOpen && entry.dueMs <= nowMs) this.#open(entry, metainfo)
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  #open(entry: Entry, metainfo: Metainfo): void {
    const { clock, log, connected } = this.#deps
    const { url } = entry
    entry.isOpen = true
    const duplex = openWebSeed({
      url,
      metainfo,
      mayBePrivate: this.#mayBePrivate,
      onClosed: (reason) => {
        entry.isOpen = false
        const waitMs = Math.min(RETRY_MS * 2 ** entry.failures, RETRY_MS_MAX)
        entry.failures++
        entry.dueMs = clock.monotonicMs() + waitMs
        if (reason !== undefined) log.debug({ url, error: messageOf(reason) }, "a web seed failed")
      },
    })
    const { hostname, port, protocol } = new URL(url)
    const known = protocol === "https:" ? 443 : 80
    const host = hostname.replace(/^\[|\]$/g, "")
    connected(duplex, formatAddress(host, port === "" ? known : Number(port)))
  }
}
