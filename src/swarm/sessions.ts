/**
 * The sessions of this node: one per peer as far as possible, opened when needed, closed when idle.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Channel, PeerId, PeerNetwork } from "../net/net.ts"
import { SwarmError, type WireFault } from "./errors.ts"
import { ChannelSession, type SessionDeps, type SessionOwner } from "./session.ts"
import type { Upload } from "./upload.ts"
import type { Open } from "./wire-extension.ts"

/** Sessions with one peer: both sides may open one at the same moment. */
const SESSIONS_PER_PEER_MAX = 3
const SESSIONS_MAX = 2048
const OPEN_MS_MAX = 10_000
/** A session without torrents is closed after this time. */
const IDLE_MS_MAX = 60_000
/** How often it is looked for sessions that are idle or clogged. */
const LOOK_MS = 1_000
/** After a failure a peer is tried again after this time, doubled up to the maximum. */
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 30_000

interface Entry {
  readonly session: ChannelSession
  idleSinceMs: number | undefined
}

export interface SessionsDeps extends Omit<SessionDeps, "owner"> {
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
  /** A peer opened a session. */
  onAccepted(peer: PeerId): void
  /** Answers opens, and hears what becomes of uploads. */
  readonly serving: Pick<SessionOwner, "onOpen" | "onInterested" | "onHave" | "onUploadClosed">
}

export class Sessions implements SessionOwner {
  readonly #deps: SessionsDeps
  readonly #entries = new Map<PeerId, Entry[]>()
  readonly #opening = new Map<PeerId, Promise<ChannelSession>>()
  readonly #failures = new Map<PeerId, { count: number; untilMs: number }>()
  readonly #closing = new AbortController()
  #count = 0
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(deps: SessionsDeps) {
    this.#deps = deps
    deps.net.onChannel((channel) => this.#accept(channel))
  }

  get count(): number {
    return this.#count
  }

  *all(): Iterable<ChannelSession> {
    for (const entries of [...this.#entries.values()]) {
      for (const { session } of [...entries]) yield session
    }
  }

  /** Gives a session that is open and has room, if there is one. */
  ready(peer: PeerId): ChannelSession | undefined {
    return this.#entries.get(peer)?.find(({ session }) => !session.isFull)?.session
  }

  /**
   * Opens a session, or gives the one that is open.
   * @throws what the network throws; `SWARM_STOPPED`
   */
  open(peer: PeerId): Promise<ChannelSession> {
    const ready = this.ready(peer)
    if (ready !== undefined) return Promise.resolve(ready)
    const known = this.#opening.get(peer)
    if (known !== undefined) return known
    const opening = this.#open(peer).finally(() => this.#opening.delete(peer))
    this.#opening.set(peer, opening)
    return opening
  }

  /** Whether a failure was so short ago that the peer is not tried again yet. */
  isPaused(peer: PeerId): boolean {
    const failure = this.#failures.get(peer)
    return failure !== undefined && this.#deps.clock.monotonicMs() < failure.untilMs
  }

  closePeer(peer: PeerId): void {
    for (const { session } of [...(this.#entries.get(peer) ?? [])]) session.close()
  }

  tick(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    for (const entries of [...this.#entries.values()]) {
      for (const entry of [...entries]) this.#look(entry, nowMs)
    }
    for (const [peer, failure] of this.#failures) {
      if (nowMs - failure.untilMs > RETRY_MS_MAX) this.#failures.delete(peer)
    }
  }

  /** Closes all; no session opens any more. */
  stop(): void {
    this.#closing.abort(stopped())
    for (const session of this.all()) session.close()
  }

  onOpen(session: ChannelSession, open: Open): void {
    this.#deps.serving.onOpen(session, open)
  }

  onInterested(session: ChannelSession, upload: Upload, isInterested: boolean): void {
    this.#deps.serving.onInterested(session, upload, isInterested)
  }

  onHave(session: ChannelSession, upload: Upload, index: number): void {
    this.#deps.serving.onHave(session, upload, index)
  }

  onUploadClosed(session: ChannelSession, upload: Upload): void {
    this.#deps.serving.onUploadClosed(session, upload)
  }

  onClosed(session: ChannelSession, fault: WireFault | undefined): void {
    const entries = this.#entries.get(session.peer) ?? []
    const left = entries.filter((entry) => entry.session !== session)
    this.#count -= entries.length - left.length
    if (left.length > 0) this.#entries.set(session.peer, left)
    else this.#entries.delete(session.peer)
    if (fault === undefined) return
    const { peer } = session
    this.#deps.log.warn({ peer, ...fault }, "a peer broke the wire protocol; session closed")
    this.#onFailure(peer)
  }

  async #open(peer: PeerId): Promise<ChannelSession> {
    const timeout = new AbortController()
    const { clock, net, log } = this.#deps
    const cancel = clock.after(OPEN_MS_MAX, () => timeout.abort(stopped()))
    try {
      const signal = AbortSignal.any([this.#closing.signal, timeout.signal])
      const session = this.#add(await net.openChannel(peer, { signal }), true)
      if (session === undefined) throw stopped()
      this.#failures.delete(peer)
      return session
    } catch (error) {
      this.#onFailure(peer)
      log.debug({ peer, code: codeOf(error), error: messageOf(error) }, "no data channel")
      throw error
    } finally {
      cancel()
    }
  }

  #accept(channel: Channel): void {
    if (this.#add(channel, false) === undefined) channel.duplex.destroy()
    else this.#deps.onAccepted(channel.peer)
  }

  #add(channel: Channel, isOpener: boolean): ChannelSession | undefined {
    const entries = this.#entries.get(channel.peer) ?? []
    const isRoom = entries.length < SESSIONS_PER_PEER_MAX && this.#count < SESSIONS_MAX
    if (this.#closing.signal.aborted || !isRoom) return undefined
    const session = new ChannelSession(channel, { ...this.#deps, owner: this }, { isOpener })
    this.#entries.set(channel.peer, [...entries, { session, idleSinceMs: undefined }])
    this.#count++
    return session
  }

  #look(entry: Entry, nowMs: number): void {
    const { session } = entry
    if (session.writer.isClogged) {
      session.close({ code: "LIMIT_EXCEEDED", message: "the peer reads nothing" })
    } else if (session.torrentCount > 0) entry.idleSinceMs = undefined
    else if (entry.idleSinceMs === undefined) entry.idleSinceMs = nowMs
    else if (nowMs - entry.idleSinceMs > IDLE_MS_MAX) session.close()
  }

  #onFailure(peer: PeerId): void {
    const count = (this.#failures.get(peer)?.count ?? 0) + 1
    const pauseMs = Math.min(RETRY_MS_MIN * 2 ** (count - 1), RETRY_MS_MAX)
    this.#failures.set(peer, { count, untilMs: this.#deps.clock.monotonicMs() + pauseMs })
  }
}

function stopped(): SwarmError {
  return new SwarmError("SWARM_STOPPED", "no session can be opened")
}
