/**
 * The swarm of one node (adapter of the port {@link Swarm}): ties holdings, sessions, torrents and
 * piece lists together.
 * @module
 */
import { randomBytes } from "node:crypto"
import { Bitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { assert, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import type { BlobChange, BlobStore, PartialBlob } from "../store/store.ts"
import { type Access, type BlobRights, createBlobRights } from "./access.ts"
import { Holdings } from "./holdings.ts"
import { BAN_MS, type Verdict } from "./judge.ts"
import type { Metainfo } from "./metainfo.ts"
import { PEER_SET_MAX, PeerSet } from "./peer-set.ts"
import { PieceLists } from "./piece-lists.ts"
import { isPlainPeer } from "./plain-peer.ts"
import { PlainPort } from "./plain-port.ts"
import type { PlainTorrent } from "./plain-session.ts"
import { Providing, providerKey } from "./providing.ts"
import type { PlainWish, WishEvents } from "./public/plain-wish.ts"
import { ReplicaOffers } from "./replica-offers.ts"
import { Replicas } from "./replicas.ts"
import { Serving } from "./serving.ts"
import { Sessions } from "./sessions.ts"
import type { Shaping } from "./shaping.ts"
import { ShortWays } from "./short-way.ts"
import type { Source, SourceEnd } from "./source.ts"
import type { CopyOffer, Holder, OfferAnswer, Swarm, SwarmStats, Torrent } from "./swarm.ts"
import { EngineTorrent, type TorrentDeps } from "./torrent.ts"
import { TorrentBook } from "./torrent-book.ts"
import { BatchBuffers } from "./upload-server.ts"
import { Waste } from "./waste.ts"
import type { WireStream } from "./wire-socket.ts"
import type { Zones } from "./zones.ts"

/** The engine looks at time this often. */
const TICK_MS = 200
/** How often a torrent looks for holders that are not attached. */
const LOOK_MS = 1_000
/** A peer set that brings nothing for this time is not enough. */
const SHORT_MS = 3_000
/** Sessions that are opened at one time for one blob. */
const OPENING_MAX = 4
/** A peer that refused a blob has this time to tell that it does not have it any more. */
const REFUSAL_MS = 1_000
/** Running uploads get this time when the engine stops. */
const STOP_MS_MAX = 1_000
const FIND_MS_MAX = 5_000
const VERSION = "0.1.0"

export interface SwarmDeps {
  readonly store: BlobStore
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Limits what goes up and down; nothing is limited when left out. */
  readonly shaping?: Shaping | undefined
  /** Where this node and others stand; nowhere in particular when left out. */
  readonly zones?: Zones | undefined
  /** What peers may by the fleet's access list; without a fleet, and when left out, everything. */
  readonly access?: Access | undefined
  /** Where blobs belong; in a fleet one without a place is given to nobody. */
  readonly places?: BlobPlaces | undefined
}

export interface SwarmOptions {
  /** Who may fetch what; by default everybody what the store may share. */
  readonly mayFetch?: (peer: PeerId, digest: Digest) => boolean
  /** Which blobs standard clients may have, over plain sockets; none unless told. */
  readonly isPublic?: (digest: Digest) => boolean
  /** Port on which standard clients reach this node; undefined while none is open. */
  readonly publicPort?: () => number | undefined
  /** Connections that are served at once, the others wait for their turns; found by trial unless given. */
  readonly uploadSlots?: number
  /** Numbers from 0 to below 1, for choices of pieces; seeded in simulations. */
  readonly random?: () => number
}

/** The engine, with what only its own composition needs beside the port. */
export interface SwarmEngine extends Swarm {
  /**
   * Gives the torrent of a complete blob; reads all of it the first time. From then on standard
   * clients find it by its info-hash, if it is public.
   */
  torrentOf(digest: Digest): Promise<Metainfo | undefined>
  /**
   * Takes a connection of a standard client.
   * @param address - its IP address and port
   * @param metainfo - the torrent, where it is known before the client says it (WebRTC)
   */
  servePlain(stream: WireStream, address: string, metainfo?: Metainfo): void
  /** Wants a torrent from standard clients; the blob is fetched from them when it is joined. */
  wishPlain(torrent: PlainTorrent, events?: WishEvents): PlainWish
  /** Ends what standard clients have open of a blob. */
  closePlain(digest: Digest): void
  /** 20 bytes: what this node calls itself in handshakes with standard clients. */
  readonly wirePeerId: Uint8Array
}

/** Starts the swarm of a node. */
export function createSwarm(deps: SwarmDeps, options: SwarmOptions = {}): SwarmEngine {
  return new Engine(deps, options)
}

/** What the engine keeps of one torrent. */
interface Flight {
  readonly torrent: EngineTorrent
  readonly stopListening: () => void
  /** Peers to which a session is being opened for it. */
  readonly pending: Set<PeerId>
  readonly peerSet: PeerSet
  /** Others fetch it too. */
  hasFellows: boolean
  lookedMs: number
  isLookingSoon: boolean
}

class Engine implements SwarmEngine {
  readonly wirePeerId: Uint8Array = Buffer.concat([Buffer.from("-SL0100-"), randomBytes(12)])
  readonly #deps: SwarmDeps
  readonly #random: () => number
  readonly #rights: BlobRights
  readonly #lists: PieceLists
  readonly #holdings: Holdings
  readonly #serving: Serving
  readonly #sessions: Sessions
  readonly #providing: Providing
  readonly #offers: ReplicaOffers
  readonly #replicas: Replicas
  readonly #short: ShortWays
  readonly #book: TorrentBook
  readonly #plain: PlainPort
  readonly #flights = new Map<Digest, Flight>()
  readonly #downloaded: Counter
  readonly #waste: Waste
  readonly #bans: Counter
  readonly #stopStore: () => void
  readonly #stopPlaces: () => void
  #takeOffer: (peer: PeerId, offer: CopyOffer) => OfferAnswer = () => "gone"
  #cancelTick: () => void = () => {}
  #downloadedBytes = 0
  /** Of it, what the counter knows: it is told on each tick and after each blob, not on each block. */
  #countedBytes = 0
  #isStopped = false

  constructor(deps: SwarmDeps, options: SwarmOptions) {
    this.#deps = deps
    const { store, net, clock, log, metrics } = deps
    this.#random = options.random ?? Math.random
    const { access, places } = deps
    this.#rights = createBlobRights({ selfId: net.id, access, places })
    const mayFetch = sharedOnly(store, options.mayFetch, this.#rights.mayFetch)
    const mayFind = sharedOnly(store, options.mayFetch, this.#rights.mayFind)
    this.#downloaded = metrics.counter("sealift_swarm_downloaded_bytes_total", "From peers.")
    this.#waste = new Waste(metrics)
    this.#bans = metrics.counter("sealift_swarm_bans_total", "Peers proved bad.", ["reason"])
    const uploaded = metrics.counter("sealift_swarm_uploaded_bytes_total", "To peers.")
    this.#lists = new PieceLists({ net, kv: store.kv("live-lists"), log }, (digest, pieces) => {
      this.#flights.get(digest)?.torrent.onListGrown()
      this.#serving.onListGrown(digest, pieces)
    })
    const lists = this.#lists
    this.#serving = new Serving(
      {
        store,
        clock,
        log,
        lists,
        mayFetch,
        uploaded,
        copiesOf: (digest, index) => {
          return this.#flights.get(digest)?.torrent.picker.availability(index) ?? 0
        },
        firstPieceOf: (digest, count) => {
          const others = this.#members(digest).filter((holder) => holder.isComplete)
          const seeds = [net.id, ...others.map((holder) => holder.peer)].sort()
          return Math.floor((count * seeds.indexOf(net.id)) / seeds.length)
        },
        onRefused: (digest) => this.#holdings.touch(digest),
      },
      { slots: options.uploadSlots },
    )
    const wire = {
      clock,
      log,
      shaping: deps.shaping,
      buffers: new BatchBuffers(),
      uploadEvents: this.#serving,
      wirePeerId: this.wirePeerId,
      version: VERSION,
    }
    this.#sessions = new Sessions({
      ...wire,
      net,
      serving: this.#serving,
      onAccepted: (peer) => this.#onSession(peer),
    })
    this.#short = new ShortWays({
      clock,
      log,
      ready: (peer) => this.#sessions.ready(peer),
      onDownloaded: (bytes) => {
        this.#downloadedBytes += bytes
      },
      onWasted: (bytes, reason) => this.#waste.add(bytes, reason),
      onGoodPiece: (peer) => this.#holdings.index.trueClaim(peer),
    })
    this.#book = new TorrentBook({ store, kv: store.kv("torrents") })
    this.#plain = new PlainPort({
      ...wire,
      serving: this.#serving,
      book: this.#book,
      isPublic: publicOnly(store, options.isPublic),
      torrent: (digest) => this.#flights.get(digest)?.torrent,
      listenPort: options.publicPort ?? (() => undefined),
      onHolder: (digest, holder) => this.#holdings.index.tell(digest, holder),
    })
    const onOffer = (peer: PeerId, offer: CopyOffer) => this.#takeOffer(peer, offer)
    this.#holdings = new Holdings({ net, store, clock, log, mayFind, onOffer })
    this.#offers = new ReplicaOffers({
      store,
      net,
      clock,
      log,
      isUnmetered: (peer) => !this.#isMetered(peer),
      offer: (peer, offers, asked) => this.#holdings.offer(peer, offers, asked),
    })
    this.#replicas = new Replicas({
      store,
      selfId: net.id,
      log,
      metrics,
      holders: (digest) => this.#holdings.index.holders(digest),
      onCounted: (wanted, nowMs) => this.#offers.run(wanted, nowMs),
    })
    const fleet = () => access?.nodes() ?? []
    this.#providing = new Providing({ net, clock, log, fleet, random: this.#random })
    for (const stat of store.list()) if (stat.isComplete) this.#provide(stat.digest)
    this.#stopStore = store.onChange((change) => this.#onStoreChange(change))
    this.#stopPlaces = places?.onChange((digest) => this.#onPlace(digest)) ?? (() => {})
    metrics.gauge("sealift_swarm_sessions", "Open wire sessions.", () => this.#sessions.count)
    metrics.gauge("sealift_swarm_torrents", "Blobs being fetched.", () => this.#flights.size)
    this.#scheduleTick()
  }

  holders(digest: Digest): readonly Holder[] {
    return [...this.#members(digest), ...this.#plain.holders(digest)]
  }

  isWithheld(digest: Digest): boolean {
    return this.#holdings.index.holders(digest).some(({ peer }) => this.#isMetered(peer))
  }

  async *findHolders(digest: Digest, options: { signal: AbortSignal }): AsyncIterable<Holder> {
    const { net, clock, log } = this.#deps
    const timeout = new AbortController()
    const cancel = clock.after(FIND_MS_MAX, () => timeout.abort())
    const signal = AbortSignal.any([options.signal, timeout.signal])
    try {
      for await (const peer of net.findProviders(providerKey(digest), { signal })) {
        if (peer === net.id) continue
        const holder = await this.#ask(peer, digest, signal)
        if (holder !== undefined) yield holder
      }
    } catch (error) {
      options.signal.throwIfAborted()
      // The time is over or the DHT is not reachable: what was found was given.
      log.debug({ digest, error: messageOf(error) }, "looking for holders ended")
    } finally {
      cancel()
    }
  }

  askHolders(digests: readonly Digest[], options: { signal: AbortSignal }): Promise<void> {
    return this.#holdings.askAll(digests, options)
  }

  onHolder(digest: Digest, listener: (holder: Holder) => void): () => void {
    return this.#holdings.index.onHolder(digest, listener)
  }

  join(blob: PartialBlob): Torrent {
    const { digest, layout } = blob
    assert(!this.#isStopped, "join after stop")
    assert(!this.#flights.has(digest), `${digest} is joined already`)
    const torrent = new EngineTorrent(blob, this.#torrentDeps(blob))
    const flight: Flight = {
      torrent,
      stopListening: this.onHolder(digest, (holder) => {
        if (holder.isPlain === true) return
        torrent.forgive(holder.peer)
        if (!holder.isComplete) flight.hasFellows = true
        this.#lookSoon(flight)
      }),
      pending: new Set(),
      peerSet: new PeerSet(digest, this.#deps.net.id),
      hasFellows: false,
      lookedMs: Number.NEGATIVE_INFINITY,
      isLookingSoon: false,
    }
    this.#flights.set(digest, flight)
    void this.#lists.loaded(digest, layout)
    this.#look(flight, this.#deps.clock.monotonicMs())
    this.#plain.onJoined(digest)
    return torrent
  }

  async bring(blob: PartialBlob): Promise<PeerId | undefined> {
    const near = this.#members(blob.digest).filter(({ peer }) => !this.#isFar(peer))
    const peer = await this.#short.bring(blob, this.#isStopped ? [] : near)
    this.#count()
    return peer
  }

  torrentOf(digest: Digest): Promise<Metainfo | undefined> {
    return this.#book.of(digest)
  }

  servePlain(stream: WireStream, address: string, metainfo?: Metainfo): void {
    this.#plain.accept(stream, address, metainfo)
  }

  wishPlain(torrent: PlainTorrent, events?: WishEvents): PlainWish {
    return this.#plain.wish(torrent, events)
  }

  closePlain(digest: Digest): void {
    this.#plain.closeUploads(digest)
  }

  torrents(): readonly Torrent[] {
    return [...this.#flights.values()].map((flight) => flight.torrent)
  }

  useOffers(take: (peer: PeerId, offer: CopyOffer) => OfferAnswer): void {
    this.#takeOffer = take
  }

  recheck(): void {
    this.#serving.recheck()
    this.#holdings.recheck()
    for (const { digest, isComplete } of this.#deps.store.list()) {
      if (isComplete) this.#provide(digest)
    }
  }

  stats(): SwarmStats {
    return {
      uploadedBytes: this.#serving.uploadedBytes,
      downloadedBytes: this.#downloadedBytes,
      sessionCount: this.#sessions.count + this.#plain.count,
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    for (const { torrent } of [...this.#flights.values()]) torrent.close()
    this.#short.close()
    this.#serving.stop()
    const { clock } = this.#deps
    const endMs = clock.monotonicMs() + STOP_MS_MAX
    while (this.#serving.isBusy && clock.monotonicMs() < endMs) await clock.sleep(20)
    this.#count()
    this.#cancelTick()
    this.#stopStore()
    this.#stopPlaces()
    this.#holdings.stop()
    this.#offers.stop()
    this.#providing.stop()
    this.#sessions.stop()
    this.#plain.stop()
  }

  #torrentDeps(blob: PartialBlob): TorrentDeps {
    const { store, net, clock, log } = this.#deps
    const { digest, layout } = blob
    return {
      clock,
      log: log.child({ digest }),
      random: this.#random,
      selfId: net.id,
      list: this.#lists.of(digest, layout),
      hasFellows: () => this.#flights.get(digest)?.hasFellows === true,
      isFar: (peer) => this.#isFar(peer),
      hasNearHolder: () =>
        this.#members(digest).some(({ peer, isComplete }) => isComplete && !this.#isFar(peer)),
      onDownloaded: (bytes) => {
        this.#downloadedBytes += bytes
      },
      onWasted: (bytes, reason) => this.#waste.add(bytes, reason),
      onGoodPiece: (peer) => this.#holdings.index.trueClaim(peer),
      onSourceEnded: (_torrent, source, reason) => this.#onSourceEnded(source.peer, digest, reason),
      onBatch: (_torrent, payload, source) => void this.#onBatch(blob, payload, source),
      onAnnounced: (_torrent, index) => {
        const hash = blob.pieceSha256(index)
        if (hash !== undefined) this.#lists.announce(digest, layout, { index, sha256: hash })
      },
      ban: (verdict) => this.#ban(verdict, digest),
      onWanting: () => {
        const flight = this.#flights.get(digest)
        if (flight !== undefined) this.#look(flight, clock.monotonicMs())
      },
      provenList: () => store.pieceList(digest),
      unlistedHash: (index) => this.#plain.sha1Of(digest, index),
      onClosed: () => {
        this.#count()
        this.#flights.get(digest)?.stopListening()
        this.#flights.delete(digest)
      },
    }
  }

  async #onBatch(blob: PartialBlob, payload: Uint8Array, source: Source): Promise<void> {
    const isGood = await this.#lists.receive(blob.digest, blob.layout, payload)
    if (isGood || source.isEnded) return
    source.link.fail({ code: "EXTENSION_INVALID", message: "a piece list with a wrong signature" })
  }

  #onSourceEnded(peer: PeerId, digest: Digest, reason: SourceEnd): void {
    const { index } = this.#holdings
    if (reason === "closed" || reason === "wrong-pieces" || isPlainPeer(peer)) return
    this.#deps.log.debug({ peer, digest, reason }, "a source is left alone")
    if (reason !== "refused") index.falseClaim(peer)
    // What it tells of the change may be on its way: false is what it goes on to say.
    else {
      this.#deps.clock.after(REFUSAL_MS, () => {
        if (index.has(peer, digest)) index.falseClaim(peer)
      })
    }
  }

  async #ban(verdict: Verdict, digest: Digest): Promise<void> {
    const { peer, reason, evidence } = verdict
    this.#deps.log.warn({ peer, digest, reason, evidence }, "a peer is banned")
    this.#bans.add(1, { reason })
    if (isPlainPeer(peer)) {
      this.#plain.ban(peer)
      return
    }
    this.#sessions.closePeer(peer)
    this.#holdings.index.forget(peer)
    const told = `${reason} of ${digest}: ${JSON.stringify(evidence)}`
    await this.#deps.net.ban(peer, told, BAN_MS)
  }

  async #ask(peer: PeerId, digest: Digest, signal: AbortSignal): Promise<Holder | undefined> {
    const { net, log } = this.#deps
    try {
      if (net.peer(peer) === undefined) await net.dial(peer, { signal })
      await this.#holdings.ask(peer, [digest], { signal })
    } catch (error) {
      log.debug({ peer, error: messageOf(error) }, "a provider was not reached")
    }
    return this.holders(digest).find((holder) => holder.peer === peer)
  }

  #onStoreChange(change: BlobChange): void {
    const { digest } = change
    const torrent = this.#flights.get(digest)?.torrent
    if (change.kind === "piece") torrent?.onPieceThere(change.index)
    else if (change.kind === "partial") {
      torrent?.onPiecesLost()
      const layout = this.#deps.store.stat(digest)?.layout
      if (layout !== undefined) void this.#lists.regrow(digest, layout)
    }
    this.#serving.onStoreChange(change)
    if (change.kind === "complete") this.#provide(digest)
    else if (change.kind === "removed") this.#providing.remove(digest)
    if (change.kind === "complete" || change.kind === "removed") void this.#lists.forget(digest)
  }

  /** A blob got a place, or lost one: others may find it now, or no more. */
  #onPlace(digest: Digest): void {
    const stat = this.#deps.store.stat(digest)
    if (stat === undefined) return
    this.#serving.recheck(digest)
    this.#holdings.touch(digest)
    if (stat.isComplete) this.#provide(digest)
  }

  /** The DHT answers every node: in a fleet it is told of what all may find, and nothing else. */
  #provide(digest: Digest): void {
    const isShared = this.#deps.store.stat(digest)?.isShared === true
    if (isShared && this.#rights.mayAllFind(digest)) this.#providing.add(digest)
    else this.#providing.remove(digest)
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#deps.clock.after(TICK_MS, () => {
      this.#tick(this.#deps.clock.monotonicMs())
      this.#scheduleTick()
    })
  }

  #tick(nowMs: number): void {
    for (const flight of [...this.#flights.values()]) {
      if (this.#deps.shaping !== undefined) flight.torrent.leave((peer) => this.#isMetered(peer))
      flight.torrent.tick(nowMs)
      if (nowMs - flight.lookedMs >= LOOK_MS) this.#look(flight, nowMs)
    }
    this.#short.tick(nowMs)
    this.#count()
    this.#serving.tick(nowMs)
    this.#sessions.tick(nowMs)
    this.#plain.tick(nowMs)
    const isFetching = this.#flights.size > 0 || this.#short.isBusy
    this.#providing.tick(nowMs, isFetching || this.#serving.isBusy)
    this.#replicas.tick(nowMs)
    this.#holdings.tick()
  }

  #isMetered(peer: PeerId): boolean {
    return this.#deps.shaping?.classes.of(peer) === "metered"
  }

  #isFar(peer: PeerId): boolean {
    return this.#deps.zones?.isFar(peer) === true
  }

  #count(): void {
    this.#downloaded.add(this.#downloadedBytes - this.#countedBytes)
    this.#countedBytes = this.#downloadedBytes
    this.#waste.tell()
  }

  /** Peers that have the blob and take part in its swarm; standard clients come by themselves. */
  #members(digest: Digest): readonly Holder[] {
    const holders = this.#holdings.index.holders(digest)
    if (this.#deps.shaping === undefined) return holders
    return holders.filter(({ peer }) => !this.#isMetered(peer))
  }

  /** Attaches the holders that are this node's peer set for the blob, and leaves others. */
  #look(flight: Flight, nowMs: number): void {
    flight.lookedMs = nowMs
    const { torrent, peerSet } = flight
    const holders = this.#members(torrent.blob.digest)
    flight.hasFellows = holders.some((holder) => !holder.isComplete)
    const isFar = (peer: PeerId) => this.#isFar(peer)
    const ordered = peerSet.ordered(holders, isFar)
    const able = ordered.filter(({ peer }) => torrent.isAble(peer))
    // Who gets nothing from its peer set looks further.
    const isShort = torrent.lastProgressMs() > SHORT_MS
    const chosen = isShort ? torrent.withRoom(able) : PeerSet.chosen(able, isFar)
    if (chosen.length >= PEER_SET_MAX) {
      const peers = new Set(chosen.map(({ peer }) => peer))
      torrent.leaveIdle((peer) => !peers.has(peer))
    }
    for (const holder of chosen) void this.#attach(flight, holder)
  }

  async #attach(flight: Flight, holder: Holder): Promise<void> {
    const { torrent, pending } = flight
    const { peer, sizeBytes } = holder
    const { digest, layout } = torrent.blob
    const isSame = sizeBytes === layout.sizeBytes && !this.#isMetered(peer)
    if (!isSame || pending.has(peer) || !torrent.wants(peer, pending.size)) return
    const ready = this.#sessions.ready(peer)
    const isFull = pending.size >= OPENING_MAX
    if (ready === undefined && (isFull || this.#sessions.isPaused(peer))) return
    pending.add(peer)
    try {
      const session = ready ?? (await this.#sessions.open(peer))
      pending.delete(peer)
      if (!torrent.wants(peer, pending.size) || session.isClosed) return
      const assumed = holder.isComplete ? Bitfield.full(layout.count) : undefined
      session.open(digest, (link) => torrent.attach(link, assumed))
    } catch {
      // Logged where it happened; the next look tries again.
      pending.delete(peer)
    }
    if (ready === undefined) this.#lookSoon(flight)
  }

  /** A session was opened by a peer: what it has can be fetched over it. */
  #onSession(peer: PeerId): void {
    for (const flight of this.#flights.values()) {
      const holders = this.#members(flight.torrent.blob.digest)
      if (holders.some((holder) => holder.peer === peer)) this.#lookSoon(flight)
    }
  }

  /** A session was opened, or could not be: the next one may be. */
  #lookSoon(flight: Flight): void {
    if (flight.isLookingSoon) return
    flight.isLookingSoon = true
    queueMicrotask(() => {
      flight.isLookingSoon = false
      if (this.#flights.get(flight.torrent.blob.digest) !== flight) return
      this.#look(flight, this.#deps.clock.monotonicMs())
    })
  }
}

/** Nothing that the store may not share goes out, whatever the options say. */
function sharedOnly(
  store: BlobStore,
  mayFetch: SwarmOptions["mayFetch"],
  isRight: (peer: PeerId, digest: Digest) => boolean,
): (peer: PeerId, digest: Digest) => boolean {
  return (peer, digest) =>
    store.stat(digest)?.isShared === true &&
    isRight(peer, digest) &&
    (mayFetch?.(peer, digest) ?? true)
}

function publicOnly(
  store: BlobStore,
  isPublic: SwarmOptions["isPublic"],
): (digest: Digest) => boolean {
  return (digest) => store.stat(digest)?.isShared === true && isPublic?.(digest) === true
}
