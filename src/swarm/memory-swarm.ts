/**
 * The in-memory twin of {@link Swarm}: verified pieces are copied from store to store at a set rate.
 * Peers can be made to lie, to freeze, to let others wait, and to claim false sizes.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import { type ByteRange, pieceRange } from "../core/piece.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import type { BlobStore, PartialBlob } from "../store/store.ts"
import { type Access, type BlobRights, createBlobRights } from "./access.ts"
import type { Holder, SourceReport, Swarm, SwarmStats, Torrent } from "./swarm.ts"

/** What a node brings to the hub. */
export interface MemorySwarmDeps {
  readonly net: PeerNetwork
  readonly store: BlobStore
  readonly clock: Clock
  readonly access?: Access | undefined
  readonly places?: BlobPlaces | undefined
}

/** All swarms of one little world. */
export interface MemorySwarmHub {
  /** @param options - `bytesPerSecond`: what this node sends at most; without bound when left out */
  join(deps: MemorySwarmDeps, options?: { bytesPerSecond?: number }): Swarm
  /** From now on a node sends wrong bytes, or right ones again. */
  corrupt(peer: PeerId, isLying: boolean): void
  /** From now on a node sends nothing though it has blobs, or sends again. */
  freeze(peer: PeerId, isFrozen: boolean): void
  /** From now on a node lets all others wait for their turns, and tells them so; or serves again. */
  queue(peer: PeerId, isQueueing: boolean): void
  /** Makes a node tell a false size of a blob; it then claims to hold all of it. */
  claimSize(peer: PeerId, digest: Digest, sizeBytes: number): void
  /** From now on a node tells what it has to those who ask alone, or to all again. */
  hush(peer: PeerId, isHushed: boolean): void
}

/** Pieces that one torrent asks for at the same time. */
const REQUESTS_MAX = 8
/** A peer that sends nothing for this long is left alone by the torrent. */
const SNUB_MS = 3_000
/** Reserved pieces are left to the origin reader as long as it wrote one within this time. */
const ORIGIN_IDLE_MS = 1_000

/** Makes an empty hub. */
export function createMemorySwarmHub(): MemorySwarmHub {
  return new Hub()
}

class Hub implements MemorySwarmHub {
  readonly nodes = new Map<PeerId, MemorySwarm>()
  readonly liars = new Set<PeerId>()
  readonly frozen = new Set<PeerId>()
  readonly queueing = new Set<PeerId>()
  readonly hushed = new Set<PeerId>()

  join(deps: MemorySwarmDeps, options: { bytesPerSecond?: number } = {}): Swarm {
    const node = new MemorySwarm(this, deps, options.bytesPerSecond ?? Number.POSITIVE_INFINITY)
    this.nodes.set(deps.net.id, node)
    return node
  }

  corrupt(peer: PeerId, isLying: boolean): void {
    if (isLying) this.liars.add(peer)
    else this.liars.delete(peer)
  }

  freeze(peer: PeerId, isFrozen: boolean): void {
    if (isFrozen) this.frozen.add(peer)
    else this.frozen.delete(peer)
  }

  queue(peer: PeerId, isQueueing: boolean): void {
    if (isQueueing) this.queueing.add(peer)
    else this.queueing.delete(peer)
    for (const node of this.nodes.values()) node.pump()
  }

  hush(peer: PeerId, isHushed: boolean): void {
    if (isHushed) this.hushed.add(peer)
    else this.hushed.delete(peer)
  }

  /** Whether a node would give nothing, or nothing right. */
  isUnwilling(peer: PeerId): boolean {
    return this.liars.has(peer) || this.frozen.has(peer) || this.queueing.has(peer)
  }

  claimSize(peer: PeerId, digest: Digest, sizeBytes: number): void {
    this.nodes.get(peer)?.claims.set(digest, sizeBytes)
  }

  /** Tells everybody that a node has something new. */
  announce(from: MemorySwarm, digest: Digest, isNew: boolean): void {
    for (const node of this.nodes.values()) if (node !== from) node.hear(from, digest, isNew)
  }
}

class MemorySwarm implements Swarm {
  readonly deps: MemorySwarmDeps
  readonly hub: Hub
  readonly claims = new Map<Digest, number>()
  readonly bytesPerSecond: number
  uploadedBytes = 0
  downloadedBytes = 0
  uploadCount = 0
  readonly #rights: BlobRights
  #freeAtMs = 0
  #isStopped = false
  readonly #stopping = new AbortController()
  readonly #torrents = new Set<MemoryTorrent>()
  readonly #announced = new Set<Digest>()
  /** What hushed nodes were asked for. */
  readonly #asked = new Set<Digest>()
  readonly #listeners = new Map<Digest, Set<(holder: Holder) => void>>()
  readonly #unlisten: (() => void)[]

  constructor(hub: Hub, deps: MemorySwarmDeps, bytesPerSecond: number) {
    this.hub = hub
    this.deps = deps
    this.bytesPerSecond = bytesPerSecond
    const { net, access, places } = deps
    this.#rights = createBlobRights({ selfId: net.id, access, places })
    this.#unlisten = [
      places?.onChange((digest) => this.#tell(digest, true)) ?? (() => {}),
      deps.store.onChange(({ kind, digest }) => {
        if (kind === "removed") this.#announced.delete(digest)
        else this.#tell(digest, kind === "complete")
      }),
      deps.net.onConnect(() => this.pump()),
    ]
  }

  get id(): PeerId {
    return this.deps.net.id
  }

  /** A number of this node's own. */
  get turn(): number {
    return sha256(Buffer.from(this.id))
      .subarray(0, 3)
      .reduce((sum, byte) => sum * 256 + byte, 0)
  }

  isWithheld(): boolean {
    return false
  }

  holders(digest: Digest): readonly Holder[] {
    const found: Holder[] = []
    for (const { id } of this.deps.net.peers()) {
      if (this.hub.hushed.has(id) && !this.#asked.has(digest)) continue
      const holder = this.hub.nodes.get(id)?.asHolder(digest, this.id)
      if (holder !== undefined) found.push(holder)
    }
    return found
  }

  async askHolders(digests: readonly Digest[], options: { signal: AbortSignal }): Promise<void> {
    await this.deps.clock.sleep(1, options)
    for (const digest of digests) this.#asked.add(digest)
  }

  async *findHolders(digest: Digest, options: { signal: AbortSignal }): AsyncIterable<Holder> {
    await this.deps.clock.sleep(1, options)
    yield* this.holders(digest)
  }

  onHolder(digest: Digest, listener: (holder: Holder) => void): () => void {
    const listeners = this.#listeners.get(digest) ?? new Set()
    this.#listeners.set(digest, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(digest)
    }
  }

  join(blob: PartialBlob): Torrent {
    const torrent = new MemoryTorrent(this, blob, () => this.#torrents.delete(torrent))
    this.#torrents.add(torrent)
    // As with real peers nothing is asked before the caller has said whether it fetches at all.
    queueMicrotask(() => torrent.pump())
    return torrent
  }

  async bring(blob: PartialBlob): Promise<PeerId | undefined> {
    const { digest, layout } = blob
    const giver = this.holders(digest)
      .filter((holder) => holder.isComplete && holder.sizeBytes === layout.sizeBytes)
      .map(({ peer }) => this.hub.nodes.get(peer))
      .find((node) => node !== undefined && !this.hub.isUnwilling(node.id))
    const reader = layout.count === 1 ? giver?.deps.store.open(digest) : undefined
    if (giver === undefined || reader === undefined) return undefined
    try {
      await giver.upload(layout.sizeBytes, this.#stopping.signal)
      if (!giver.mayFetch(this.id, digest)) return undefined
      const bytes = await reader.read({ start: 0, end: layout.sizeBytes })
      const outcome = await blob.writePiece(0, bytes, rawOf(digest))
      if (outcome.kind === "mismatch") return undefined
      this.downloadedBytes += layout.sizeBytes
      return giver.id
    } catch {
      // The giver lost it, or somebody stops: a torrent finds out.
      return undefined
    } finally {
      reader.release()
    }
  }

  torrents(): readonly Torrent[] {
    return [...this.#torrents]
  }

  useOffers(): void {
    // Nobody of this hub counts copies.
  }

  recheck(): void {
    for (const { digest } of this.deps.store.list()) this.#tell(digest, true)
  }

  mayFetch(peer: PeerId, digest: Digest): boolean {
    return this.#rights.mayFetch(peer, digest)
  }

  stats(): SwarmStats {
    const { uploadedBytes, downloadedBytes } = this
    const peers = this.#isStopped ? [] : this.deps.net.peers()
    const sessionCount = peers.filter(({ id }) => this.hub.nodes.has(id)).length
    return { uploadedBytes, downloadedBytes, sessionCount }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopping.abort()
    for (const unlisten of this.#unlisten) unlisten()
    for (const torrent of [...this.#torrents]) torrent.close()
    this.hub.nodes.delete(this.id)
  }

  /** What a peer sees of a blob here; nothing when it may not leave, or not to that one. */
  asHolder(digest: Digest, peer: PeerId): Holder | undefined {
    const claim = this.claims.get(digest)
    if (claim !== undefined) return { peer: this.id, isComplete: true, sizeBytes: claim }
    const stat = this.deps.store.stat(digest)
    if (stat === undefined || !stat.isShared || this.#isStopped) return undefined
    if (!this.#rights.mayFind(peer, digest)) return undefined
    const { isComplete, layout } = stat
    return { peer: this.id, isComplete, sizeBytes: layout.sizeBytes }
  }

  hear(from: MemorySwarm, digest: Digest, isNew: boolean): void {
    if (this.deps.net.peer(from.id) === undefined || this.hub.hushed.has(from.id)) return
    const holder = from.asHolder(digest, this.id)
    if (holder === undefined) return
    if (isNew) for (const listener of [...(this.#listeners.get(digest) ?? [])]) listener(holder)
    for (const torrent of this.#torrents) if (torrent.blob.digest === digest) torrent.onPeer()
  }

  /** Waits until this node's uplink has sent so many bytes after all that wait before. */
  async upload(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.deps
    const nowMs = clock.monotonicMs()
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes / this.bytesPerSecond) * 1_000
    await clock.sleep(Math.max(1, this.#freeAtMs - nowMs), { signal })
    this.uploadedBytes += bytes
  }

  #tell(digest: Digest, isComplete: boolean): void {
    const isNew = isComplete || !this.#announced.has(digest)
    this.#announced.add(digest)
    this.hub.announce(this, digest, isNew)
  }

  /** Who can give something may be another now. */
  pump(): void {
    for (const torrent of this.#torrents) torrent.onPeer()
  }
}

interface Received {
  bytes: number
  readonly pieces: Set<number>
}

class MemoryTorrent implements Torrent {
  readonly blob: PartialBlob
  readonly #node: MemorySwarm
  readonly #onClose: () => void
  readonly #stopping = new AbortController()
  readonly #requested = new Set<number>()
  readonly #reserved = new Set<ByteRange>()
  readonly #received = new Map<PeerId, Received>()
  readonly #snubbed = new Set<PeerId>()
  readonly #distrusted = new Set<PeerId>()
  readonly #listeners = new Set<() => void>()
  #window: ByteRange | undefined
  #isFetching = true
  #progressAtMs: number
  #announcedAtMs = Number.NEGATIVE_INFINITY
  #isWaiting = false
  receivedBytes = 0
  wastedBytes = 0

  constructor(node: MemorySwarm, blob: PartialBlob, onClose: () => void) {
    this.#node = node
    this.blob = blob
    this.#onClose = onClose
    this.#progressAtMs = node.deps.clock.monotonicMs()
  }

  setWindow(range: ByteRange | undefined): void {
    this.#window = range
    this.pump()
  }

  reserve(pieces: ByteRange): () => void {
    const reserved = { ...pieces }
    this.#reserved.add(reserved)
    return () => {
      if (this.#reserved.delete(reserved)) this.pump()
    }
  }

  setFetching(isFetching: boolean): void {
    this.#isFetching = isFetching
    this.pump()
  }

  /** The store tells every piece that is written; only the time is of interest. */
  announcePiece(_index: number): void {
    this.#announcedAtMs = this.#node.deps.clock.monotonicMs()
  }

  sources(): readonly SourceReport[] {
    return [...this.#received].map(([peer, { bytes }]) => ({
      peer,
      receivedBytes: bytes,
      isComplete: this.#isWholeAt(peer),
      rejectedPieces: 0,
    }))
  }

  #isWholeAt(peer: PeerId): boolean {
    const giver = this.#node.hub.nodes.get(peer)
    return giver?.asHolder(this.blob.digest, this.#node.id)?.isComplete ?? false
  }

  get isQueued(): boolean {
    const { hub } = this.#node
    const holders = this.#node.holders(this.blob.digest)
    return !this.blob.pieces.isFull && holders.some(({ peer }) => hub.queueing.has(peer))
  }

  usefulSourceCount(): number {
    return this.#senders().filter((node) => this.#firstMissingAt(node) !== undefined).length
  }

  lastProgressMs(): number {
    return this.#node.deps.clock.monotonicMs() - this.#progressAtMs
  }

  onUseful(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async settle(outcome: "right" | "wrong"): Promise<{ droppedPieces: readonly number[] }> {
    if (outcome === "right") return { droppedPieces: [] }
    const dropped = new Set<number>()
    for (const [peer, { pieces }] of this.#received) {
      if (pieces.size > 0) this.#distrusted.add(peer)
      for (const index of pieces) dropped.add(index)
      pieces.clear()
    }
    await this.blob.dropPieces([...dropped])
    this.pump()
    return { droppedPieces: [...dropped] }
  }

  close(): void {
    this.#stopping.abort()
    this.#onClose()
  }

  onPeer(): void {
    for (const listener of [...this.#listeners]) listener()
    this.pump()
  }

  /** Asks for as many pieces as there is room for. */
  pump(): void {
    while (this.#isFetching && !this.#stopping.signal.aborted) {
      if (this.#requested.size >= REQUESTS_MAX) return
      const choice = this.#choose()
      if (choice === undefined) return
      this.#requested.add(choice.index)
      void this.#fetch(choice.index, choice.sender).finally(() => {
        this.#requested.delete(choice.index)
        this.pump()
      })
    }
  }

  async #fetch(index: number, sender: MemorySwarm): Promise<void> {
    const { digest, layout } = this.blob
    const range = pieceRange(layout, index)
    const signal = this.#stopping.signal
    const reader = sender.deps.store.open(digest)
    sender.uploadCount++
    try {
      if (this.#node.hub.frozen.has(sender.id)) {
        await this.#waitForNothing(sender)
        return
      }
      if (reader === undefined || !reader.hasRange(range)) return
      await sender.upload(range.end - range.start, signal)
      const mayHave = sender.mayFetch(this.#node.id, digest)
      if (this.#node.deps.net.peer(sender.id) === undefined || !mayHave) return
      const bytes = await reader.read(range)
      if (this.#node.hub.liars.has(sender.id)) bytes[0]! ^= 1
      await this.#keep(index, bytes, sender)
    } catch {
      // The torrent was closed, or the sender lost the piece: another choice is made.
    } finally {
      sender.uploadCount--
      reader?.release()
    }
  }

  async #keep(index: number, bytes: Uint8Array, sender: MemorySwarm): Promise<void> {
    if (this.#stopping.signal.aborted) return
    if (this.blob.pieces.has(index)) {
      this.wastedBytes += bytes.length
      return
    }
    const outcome = await this.blob.writePiece(index, bytes)
    if (outcome.kind === "mismatch") {
      this.wastedBytes += bytes.length
      return
    }
    const received = this.#received.get(sender.id) ?? { bytes: 0, pieces: new Set<number>() }
    received.bytes += bytes.length
    received.pieces.add(index)
    this.#received.set(sender.id, received)
    this.receivedBytes += bytes.length
    this.#node.downloadedBytes += bytes.length
    this.#progressAtMs = this.#node.deps.clock.monotonicMs()
  }

  async #waitForNothing(sender: MemorySwarm): Promise<void> {
    await this.#node.deps.clock.sleep(SNUB_MS, { signal: this.#stopping.signal })
    this.#snubbed.add(sender.id)
  }

  /** The window first, then what nobody reserved, at last what somebody did. */
  #choose(): { index: number; sender: MemorySwarm } | undefined {
    const senders = this.#senders()
    if (senders.length === 0) return undefined
    const { count, lengthBytes } = this.blob.layout
    // Without a reader each node begins elsewhere, so that they have something for each other.
    const first =
      this.#window === undefined ? this.#node.turn % count : this.#windowPiece(lengthBytes)
    const isReserved = (index: number) =>
      [...this.#reserved].some(({ start, end }) => index >= start && index < end)
    let spare: { index: number; sender: MemorySwarm } | undefined
    for (let step = 0; step < count; step++) {
      const index = (first + step) % count
      if (this.blob.pieces.has(index) || this.#requested.has(index)) continue
      const sender = senders.find((node) => this.#hasPiece(node, index))
      if (sender === undefined) continue
      if (!isReserved(index)) return { index, sender }
      spare ??= { index, sender }
    }
    const { clock } = this.#node.deps
    const isOriginIdle = clock.monotonicMs() - this.#announcedAtMs > ORIGIN_IDLE_MS
    if (isOriginIdle) return spare
    if (spare !== undefined) this.#pumpLater()
    return undefined
  }

  #windowPiece(lengthBytes: number): number {
    return Math.floor((this.#window?.start ?? 0) / lengthBytes)
  }

  #pumpLater(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#node.deps.clock.after(ORIGIN_IDLE_MS, () => {
      this.#isWaiting = false
      this.pump()
    })
  }

  #firstMissingAt(node: MemorySwarm): number | undefined {
    for (let index = 0; index < this.blob.layout.count; index++) {
      if (!this.blob.pieces.has(index) && this.#hasPiece(node, index)) return index
    }
    return undefined
  }

  #hasPiece(node: MemorySwarm, index: number): boolean {
    const reader = node.deps.store.open(this.blob.digest)
    if (reader === undefined) return false
    const isSame = reader.layout.sizeBytes === this.blob.layout.sizeBytes
    const has = isSame && reader.hasRange(pieceRange(reader.layout, index))
    reader.release()
    return has
  }

  /** Connected nodes that may give, the trusted and least busy first. */
  #senders(): MemorySwarm[] {
    const senders: MemorySwarm[] = []
    for (const { peer } of this.#node.holders(this.blob.digest)) {
      const node = this.#node.hub.nodes.get(peer)
      const isServing = node !== undefined && !node.hub.queueing.has(peer)
      if (isServing && !this.#snubbed.has(peer)) senders.push(node)
    }
    const burden = (node: MemorySwarm) =>
      node.uploadCount + (this.#distrusted.has(node.id) ? 1_000 : 0)
    return senders.sort((a, b) => burden(a) - burden(b))
  }
}
