/**
 * TUF files between nodes: each gives what it has accepted, tells when something is newer, and asks
 * (protocol/fleet.md §5, the TUF exchange).
 * @module
 */
import { randomInt } from "node:crypto"
import { BackgroundWork } from "../core/background-work.ts"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { somePeers } from "../net/some-peers.ts"
import { TrustError } from "../trust/errors.ts"
import { parseMetadataFile, TIMESTAMP_NAME, versionOf } from "../trust/tuf/metadata-file.ts"
import { isFaultOfSource } from "../trust/tuf/source-reading.ts"
import { TIMESTAMP_BYTES_MAX } from "../trust/tuf/tuf-limits.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import type { FleetHolder } from "./fleet-holder.ts"
import type { FleetMember } from "./fleet-member.ts"
import { peerSource } from "./peer-source.ts"
import {
  encodeNews,
  type FleetNews,
  parseFileRequest,
  parseNews,
  TUF_PROTOCOL,
  TUF_TOPIC,
} from "./tuf-message.ts"
import type { WebSource } from "./web-source.ts"

/** How often some peer is asked, in case that gossip was lost. */
const ASK_EVERY_MS = 30_000
/** A source that takes longer than this for all that is new has the turn of others no longer. */
const CATCH_UP_MS_MAX = 60_000
/** How often each of the fleet's web servers is asked, and the share of it that is random. */
const ASK_WEB_EVERY_MS = 60_000
const ASK_WEB_SPREAD_MS = 15_000
/** Authors of news that are followed at once; of others what is newest is found by asking. */
const CHASES_MAX = 64
/** Rounds of asking for a version that somebody spoke of who cannot be asked. */
const ROUNDS_MAX = 8
/** The pause after the first round; each is half as long again as the one before. */
const PAUSE_MS = 100
/** Peers that are asked in such a round. */
const PEERS_PER_ROUND = 3
/** For so long no news of a peer is heard that spoke of what it does not have. */
const DEAF_MS = 30_000

/** What the exchange works with. */
export interface ExchangeDeps {
  readonly net: PeerNetwork
  readonly fleet: FleetHolder
  readonly clock: Clock
  readonly log: Logger
  /** Web servers that have the fleet's files, too. */
  readonly mirrors?: readonly WebSource[]
}

/** One per node; it does nothing while the node is in no fleet. */
export class TufExchange {
  readonly #deps: ExchangeDeps
  readonly #undo: (() => void)[] = []
  /** What goes on, so that a stop waits for it. */
  readonly #work: BackgroundWork
  /** Authors of news that are followed, and the version that each spoke of. */
  readonly #chased = new Map<PeerId, number>()
  /** When those are heard again that spoke of what they do not have. */
  readonly #deafUntilMs = new Map<PeerId, number>()
  /** Resolves once this node has compared its files with those of another one. */
  readonly #met = Promise.withResolvers<void>()
  /** The version that was told last, and the telling of it. */
  #told = 0
  #telling: Promise<void> = Promise.resolve()
  #cancelAsk: (() => void) | undefined
  #cancelAskWeb: (() => void) | undefined

  constructor(deps: ExchangeDeps) {
    this.#deps = deps
    this.#work = new BackgroundWork((error) => {
      deps.log.error({ error: messageOf(error) }, "the fleet's files could not be compared")
    })
  }

  /** Serves, listens and asks from now on. */
  start(): void {
    const { net, fleet } = this.#deps
    net.onRequest(TUF_PROTOCOL, (request, { signal }) => this.#serve(request, signal))
    this.#undo.push(
      net.subscribe(TUF_TOPIC, (message, from) => this.#hear(message, from)),
      net.onConnect(({ id }) => this.#ask(id)),
      fleet.onChange(() => this.#tell()),
    )
    this.askAll()
    this.#askLater()
    this.#askWebLater()
  }

  /** Waits for what goes on. */
  async stop(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo()
    this.#cancelAsk?.()
    this.#cancelAskWeb?.()
    await this.#work.stop(new Error("the exchange is stopped"))
  }

  /** Resolves once this node has compared with another one since it started. */
  get met(): Promise<void> {
    return this.#met.promise
  }

  /**
   * Waits until this node has compared with another one since it started: what it keeps may be a copy
   * that somebody put back.
   * @returns false when there was none within the time
   */
  async hasMet(withinMs: number): Promise<boolean> {
    const { clock } = this.#deps
    const waiting = new AbortController()
    const signal = AbortSignal.any([waiting.signal, this.#work.signal])
    const late = clock.sleep(withinMs, { signal }).then(() => false)
    try {
      return await Promise.race([this.#met.promise.then(() => true), late])
    } catch {
      return false
    } finally {
      waiting.abort()
      late.catch(() => {})
    }
  }

  /** Compares with every peer: when the node has joined, nobody was asked before. */
  askAll(): void {
    for (const { id } of this.#deps.net.peers()) this.#ask(id)
    this.#askWeb()
  }

  /** Tells everybody what is newest here, unless that was done. */
  announce(): Promise<void> {
    const member = this.#deps.fleet.membership
    if (member !== undefined && member.newest > this.#told) {
      this.#told = member.newest
      this.#telling = this.#publish({ fleet: member.fleet, timestamp: member.newest })
    }
    return this.#telling
  }

  async #publish(news: FleetNews): Promise<void> {
    const { net, log } = this.#deps
    try {
      await net.publish(TUF_TOPIC, encodeNews(news))
    } catch (error) {
      // They ask by themselves soon.
      log.warn({ code: codeOf(error), error: messageOf(error) }, "the news could not be told")
    }
  }

  /** What came from gossip everybody was told; what was signed here, brought or found by asking not. */
  #tell(): void {
    const newest = this.#deps.fleet.membership?.newest ?? 0
    if (![...this.#chased.values()].includes(newest)) void this.#work.run(() => this.announce())
  }

  async #serve(request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { name, bytesMax } = parseFileRequest(request)
    const bytes = await this.#deps.fleet.membership?.source.read(name, { bytesMax, signal })
    if (bytes !== undefined) return bytes
    throw new FleetError("TUF_FILE_UNKNOWN", `this node has no ${name.slice(0, 80)}`)
  }

  #hear(message: Uint8Array, from: PeerId): void {
    const member = this.#deps.fleet.membership
    const news = parseNews(message)
    if (member === undefined || news?.fleet !== member.fleet) return
    if (news.timestamp <= member.newest || this.#isDeafTo(from)) return
    if (this.#chased.has(from) || this.#chased.size >= CHASES_MAX) return
    this.#chased.set(from, news.timestamp)
    void this.#work.run(async () => {
      await this.#chase(member, from, news.timestamp)
      this.#chased.delete(from)
    })
  }

  /** Gets a version from its author; if that one gives no answer, from whoever gets it first. */
  async #chase(member: FleetMember, author: PeerId, version: number): Promise<void> {
    const isBehind = () => member.newest < version && !this.#isDeafTo(author)
    for (let round = 0; round < ROUNDS_MAX && isBehind(); round++) {
      const isHere = this.#deps.net.peer(author) !== undefined
      const known = isHere ? await this.#catchUp(member, author) : undefined
      if (known !== undefined && isBehind()) return this.#doNotHear(author)
      const others = isBehind() ? somePeers(this.#deps.net, PEERS_PER_ROUND) : []
      await Promise.all(others.map((peer) => this.#catchUp(member, peer)))
      if (isBehind()) await this.#pause(PAUSE_MS * 1.5 ** round)
    }
  }

  /** Compares with a peer. */
  #ask(peer: PeerId): void {
    const member = this.#deps.fleet.membership
    if (member === undefined || this.#isDeafTo(peer)) return
    void this.#work.run(async () => {
      await this.#catchUp(member, peer)
    })
  }

  /**
   * Fetches what a peer has that is newer.
   * @returns the version that it says it has; undefined when it does not answer
   */
  async #catchUp(member: FleetMember, peer: PeerId): Promise<number | undefined> {
    const { signal } = this.#work
    try {
      return await this.#catchUpWith(member, peerSource(this.#deps, peer), () =>
        this.#met.resolve(),
      )
    } catch (error) {
      if (signal.aborted) return undefined
      if (error instanceof TrustError && !isFaultOfSource(error)) this.#doNotHear(peer)
      // Another peer may do better; if none does, what was accepted stays, and shows when it is stale.
      const fields = { peer, code: codeOf(error), error: messageOf(error) }
      this.#deps.log.debug(fields, "a peer was of no help to the fleet's files")
      return undefined
    }
  }

  /**
   * @param onCompared - called once nothing is older here than there, whether or not what is there can
   * be had: all of it may have run out
   * @returns the version that the source says it has
   */
  async #catchUpWith(
    member: FleetMember,
    source: TufSource,
    onCompared: () => void = () => {},
  ): Promise<number> {
    const deadline = startDeadline(this.#deps.clock, CATCH_UP_MS_MAX, this.#work.signal)
    const { signal } = deadline
    try {
      const version = await versionAt(source, signal)
      // Who has nothing yet is none to compare with.
      const isKnown = version > 0
      if (isKnown && version <= member.newest) onCompared()
      // Asked before and after the turn comes: others may have been faster.
      if (member.lacks(version)) {
        await member.author(async (refresh) => {
          if (member.lacks(version)) await refresh(source, signal)
        })
      }
      if (isKnown) onCompared()
      return version
    } finally {
      deadline.clear()
    }
  }

  #askWeb(): void {
    const member = this.#deps.fleet.membership
    if (member === undefined) return
    for (const mirror of this.#deps.mirrors ?? []) {
      void this.#work.run(async () => {
        try {
          await this.#catchUpWith(member, mirror)
        } catch (error) {
          if (this.#work.signal.aborted) return
          const fields = { mirror: mirror.url, code: codeOf(error), error: messageOf(error) }
          this.#deps.log.warn(fields, "a web server was of no help to the fleet's files")
        }
      })
    }
  }

  #askWebLater(): void {
    if ((this.#deps.mirrors ?? []).length === 0) return
    const delayMs = ASK_WEB_EVERY_MS - randomInt(ASK_WEB_SPREAD_MS)
    this.#cancelAskWeb = this.#deps.clock.after(delayMs, () => {
      this.#askWeb()
      this.#askWebLater()
    })
  }

  #askLater(): void {
    this.#cancelAsk = this.#deps.clock.after(ASK_EVERY_MS, () => {
      const [peer] = somePeers(this.#deps.net, PEERS_PER_ROUND)
      if (peer !== undefined) this.#ask(peer)
      this.#askLater()
    })
  }

  #isDeafTo(peer: PeerId): boolean {
    return (this.#deafUntilMs.get(peer) ?? 0) > this.#deps.clock.monotonicMs()
  }

  /** It spoke of what it does not have, or gave what nobody has signed. */
  #doNotHear(peer: PeerId): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [other, untilMs] of this.#deafUntilMs) {
      if (untilMs <= nowMs) this.#deafUntilMs.delete(other)
    }
    this.#deafUntilMs.set(peer, nowMs + DEAF_MS)
  }

  async #pause(delayMs: number): Promise<void> {
    const { signal } = this.#work
    // A stop ends the pause and the round with it.
    await this.#deps.clock.sleep(delayMs, { signal }).catch(() => {})
  }
}

/** Whether it is what was signed is found when it is fetched. 0: the peer has none. */
async function versionAt(source: TufSource, signal: AbortSignal): Promise<number> {
  const bytes = await source.read(TIMESTAMP_NAME, { bytesMax: TIMESTAMP_BYTES_MAX, signal })
  if (bytes === undefined) return 0
  return versionOf(parseMetadataFile("timestamp", bytes)) ?? 0
}
