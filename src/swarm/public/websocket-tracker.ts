/**
 * One WebTorrent tracker: a WebSocket on which browsers and this node tell each other how to connect
 * (protocol/public-torrent.md, WebSocket trackers).
 * @module
 */
import { randomBytes } from "node:crypto"
import type { WebSocket } from "ws"
import type { Clock } from "../../core/clock.ts"
import { messageOf, unreachable } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import type { Announced } from "./discovery.ts"
import { checkHost, lookupFor } from "./guarded-lookup.ts"
import type { RtcOffer, RtcPeers } from "./rtc-peers.ts"
import {
  binaryText,
  parseTrackerMessage,
  type Signal,
  TRACKER_MESSAGE_BYTES_MAX,
} from "./tracker-message.ts"

/** Offers of one announcement of who fetches; who seeds waits for those of others. */
const OFFERS_MAX = 5
/** Offers of others that are being answered at one time, for one torrent. */
const ANSWERS_MAX = 8
/** Between two announcements: what the tracker says, within these bounds. */
const INTERVAL_MS_MIN = 15_000
const INTERVAL_MS_MAX = 3_600_000
/** Who fetches asks again this soon: its offers are used up or have expired. */
const SEEKING_MS = 20_000
const SEEDING_MS = 120_000
/** An offer that nobody took is withdrawn after this time. */
const OFFER_MS_MAX = 50_000
const HANDSHAKE_MS_MAX = 10_000
/** A lost tracker is tried again after this time, doubled each time up to the second one. */
const RETRY_MS = 2_000
const RETRY_MS_MAX = 300_000
/** What waits to be sent; a tracker that takes nothing is left. */
const SENDING_BYTES_MAX = 1024 * 1024

export interface WebSocketTrackerDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly rtc: RtcPeers
  /** 20 bytes. */
  readonly wirePeerId: Uint8Array
}

/** One torrent at this tracker. */
interface Entry {
  readonly torrent: Announced
  readonly offers: Map<string, RtcOffer>
  answerCount: number
  intervalMs: number | undefined
  dueMs: number
  isTold: boolean
}

export class WebSocketTracker {
  readonly #deps: WebSocketTrackerDeps
  readonly #url: string
  readonly #mayBePrivate: boolean
  readonly #entries = new Map<string, Entry>()
  #socket: WebSocket | undefined
  #isOpening = false
  #failures = 0
  #retryMs = 0

  constructor(deps: WebSocketTrackerDeps, url: string, options: { mayBePrivate: boolean }) {
    this.#deps = deps
    this.#url = url
    this.#mayBePrivate = options.mayBePrivate
  }

  get isIdle(): boolean {
    return this.#entries.size === 0
  }

  add(torrent: Announced): void {
    const entry = { torrent, offers: new Map(), answerCount: 0, dueMs: 0, isTold: false }
    this.#entries.set(keyOf(torrent), { ...entry, intervalMs: undefined })
    this.tick(this.#deps.clock.monotonicMs())
  }

  remove(torrent: Announced): void {
    const entry = this.#entries.get(keyOf(torrent))
    if (entry?.torrent !== torrent) return
    this.#entries.delete(keyOf(torrent))
    for (const offer of entry.offers.values()) offer.close()
    if (entry.isTold) this.#send({ ...this.#head(entry), event: "stopped" })
    if (this.isIdle) this.#socket?.close()
  }

  tick(nowMs: number): void {
    if (this.isIdle) return
    const isOpen = this.#socket?.readyState === 1
    if (!isOpen) {
      if (!this.#isOpening && nowMs >= this.#retryMs) void this.#connect()
      return
    }
    for (const entry of this.#entries.values()) {
      if (entry.dueMs > nowMs) continue
      entry.dueMs = nowMs + waitOf(entry)
      void this.#announce(entry)
    }
  }

  async #connect(): Promise<void> {
    this.#isOpening = true
    try {
      const { WebSocket: Socket } = await import("ws")
      checkHost(new URL(this.#url).hostname, this.#mayBePrivate)
      const socket = new Socket(this.#url, {
        handshakeTimeout: HANDSHAKE_MS_MAX,
        maxPayload: TRACKER_MESSAGE_BYTES_MAX,
        perMessageDeflate: false,
        followRedirects: false,
        lookup: lookupFor(this.#mayBePrivate),
      })
      this.#socket = socket
      socket.on("open", () => this.#onOpen())
      socket.on("message", (message) => this.#onMessage(String(message)))
      socket.on("error", (error) => this.#tell(error))
      socket.on("close", () => this.#onClose(socket))
    } catch (error) {
      this.#tell(error)
      this.#later()
    }
  }

  #onOpen(): void {
    this.#isOpening = false
    this.#failures = 0
    for (const entry of this.#entries.values()) {
      entry.dueMs = 0
      entry.isTold = false
    }
    if (this.isIdle) this.#socket?.close()
    else this.tick(this.#deps.clock.monotonicMs())
  }

  #onClose(socket: WebSocket): void {
    if (this.#socket === socket) this.#socket = undefined
    this.#later()
  }

  #later(): void {
    this.#isOpening = false
    const waitMs = Math.min(RETRY_MS * 2 ** this.#failures, RETRY_MS_MAX)
    this.#failures++
    this.#retryMs = this.#deps.clock.monotonicMs() + waitMs
  }

  #tell(error: unknown): void {
    this.#deps.log.debug({ tracker: this.#url, error: messageOf(error) }, "a tracker failed")
  }

  async #announce(entry: Entry): Promise<void> {
    const isSeed = entry.torrent.leftBytes() === 0
    const offers = isSeed ? [] : await this.#makeOffers(entry)
    if (this.#entries.get(keyOf(entry.torrent)) !== entry) return
    const event = entry.isTold ? {} : { event: "started" }
    this.#send({ ...this.#head(entry), ...event, numwant: offers.length, offers })
    entry.isTold = true
  }

  #head({ torrent }: Entry): Record<string, unknown> {
    return {
      action: "announce",
      info_hash: binaryText(torrent.infoHash),
      peer_id: binaryText(this.#deps.wirePeerId),
      uploaded: 0,
      downloaded: 0,
      // Unknown is not nothing: 0 would say that this node seeds.
      left: torrent.leftBytes() ?? 1,
    }
  }

  async #makeOffers(entry: Entry): Promise<object[]> {
    const making = Array.from({ length: OFFERS_MAX }, () => this.#makeOffer(entry))
    const made = await Promise.all(making)
    return made.filter((offer) => offer !== undefined)
  }

  async #makeOffer(entry: Entry): Promise<object | undefined> {
    try {
      const { rtc, clock } = this.#deps
      const { torrent } = entry
      const offer = await rtc.offer((duplex, address) => torrent.onStream({ duplex }, address))
      if (offer === undefined) return undefined
      if (this.#entries.get(keyOf(torrent)) !== entry) {
        offer.close()
        return undefined
      }
      const id = binaryText(randomBytes(20))
      entry.offers.set(id, offer)
      clock.after(OFFER_MS_MAX, () => {
        if (entry.offers.delete(id)) offer.close()
      })
      return { offer_id: id, offer: { type: "offer", sdp: offer.sdp } }
    } catch (error) {
      this.#tell(error)
      return undefined
    }
  }

  #onMessage(text: string): void {
    const message = parseTrackerMessage(text)
    if (message === undefined) return
    if (message.kind === "failure") {
      this.#tell(new Error(message.reason))
      return
    }
    const entry = this.#entries.get(message.infoHash)
    if (entry === undefined) return
    switch (message.kind) {
      case "interval":
        entry.intervalMs = message.seconds * 1000
        break
      case "offer":
        void this.#onOffer(entry, message)
        break
      case "answer":
        entry.offers.get(message.offerId)?.accept(message.sdp)
        entry.offers.delete(message.offerId)
        break
      default:
        unreachable(message)
    }
  }

  async #onOffer(entry: Entry, signal: Signal): Promise<void> {
    const isOwn = signal.peerId === binaryText(this.#deps.wirePeerId)
    if (isOwn || entry.answerCount >= ANSWERS_MAX) return
    entry.answerCount++
    try {
      const { torrent } = entry
      const sdp = await this.#deps.rtc.answer(signal.sdp, (duplex, address) => {
        torrent.onStream({ duplex }, address)
      })
      if (sdp === undefined || this.#entries.get(keyOf(torrent)) !== entry) return
      this.#send({
        action: "announce",
        info_hash: binaryText(torrent.infoHash),
        peer_id: binaryText(this.#deps.wirePeerId),
        to_peer_id: signal.peerId,
        offer_id: signal.offerId,
        answer: { type: "answer", sdp },
      })
    } catch (error) {
      this.#tell(error)
    } finally {
      entry.answerCount--
    }
  }

  #send(message: object): void {
    const socket = this.#socket
    if (socket?.readyState !== 1) return
    if (socket.bufferedAmount > SENDING_BYTES_MAX) socket.terminate()
    else socket.send(JSON.stringify(message))
  }
}

function waitOf({ torrent, intervalMs }: Entry): number {
  if (torrent.leftBytes() !== 0) return SEEKING_MS
  const wishedMs = intervalMs ?? SEEDING_MS
  return Math.min(Math.max(wishedMs, INTERVAL_MS_MIN), INTERVAL_MS_MAX)
}

function keyOf({ infoHash }: Announced): string {
  return Buffer.from(infoHash).toString("hex")
}
