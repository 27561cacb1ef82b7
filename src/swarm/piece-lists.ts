/**
 * The live piece lists of all blobs of this node: signs its own words, checks those of others, keeps
 * them over a restart for blobs that still grow.
 * @module
 */
import { type Digest, hexOf, SHA256_BYTES } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { ByteRange, PieceLayout } from "../core/piece.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import {
  BATCH_PIECES_MAX,
  batchBytes,
  encodeBatch,
  LiveList,
  parseBatch,
  type SignedBatch,
} from "./live-list.ts"

/** Lists of complete blobs that are kept signed; the least recently used goes first. */
const SIGNED_WHOLE_MAX = 256
/** Batches of one blob whose signatures are being checked at one time; more are ignored. */
const CHECKS_MAX = 1024

interface Entry {
  readonly list: LiveList
  /** Resolves when what was kept over a restart is loaded. */
  readonly loaded: Promise<void>
  /** Own piece hashes that are not signed yet. */
  readonly unsigned: Map<number, Uint8Array>
  isSigning: boolean
  checks: number
  stored: number
}

export class PieceLists {
  readonly #net: Pick<PeerNetwork, "id" | "sign" | "verify">
  readonly #kv: Kv
  readonly #log: Logger
  readonly #entries = new Map<Digest, Entry>()
  readonly #whole = new Map<Digest, Promise<readonly SignedBatch[]>>()
  readonly #onGrown: (digest: Digest, pieces: ByteRange) => void

  /** @param onGrown - called when a list says something new of some pieces */
  constructor(
    deps: { net: Pick<PeerNetwork, "id" | "sign" | "verify">; kv: Kv; log: Logger },
    onGrown: (digest: Digest, pieces: ByteRange) => void,
  ) {
    this.#net = deps.net
    this.#kv = deps.kv
    this.#log = deps.log
    this.#onGrown = onGrown
  }

  /** Gives the list of a growing blob, made and loaded when it is not in memory. */
  of(digest: Digest, layout: PieceLayout): LiveList {
    return this.#entry(digest, layout).list
  }

  get(digest: Digest): LiveList | undefined {
    return this.#entries.get(digest)?.list
  }

  /** Resolves when the list holds what was kept over a restart. */
  async loaded(digest: Digest, layout: PieceLayout): Promise<LiveList> {
    const entry = this.#entry(digest, layout)
    await entry.loaded
    return entry.list
  }

  /** The blob is complete or gone: its live list is not needed any more. */
  async forget(digest: Digest): Promise<void> {
    const entry = this.#entries.get(digest)
    this.#entries.delete(digest)
    this.#whole.delete(digest)
    if (entry === undefined) return
    await entry.loaded
    if (entry.stored === 0) return
    const keys = Array.from({ length: entry.stored }, (_, order) => keyOf(digest, order))
    try {
      await this.#kv.batch(keys.map((key) => ({ kind: "del", key })))
    } catch (error) {
      // The store closes. What stays is small, and nobody asks for the list of a complete blob.
      this.#log.debug({ digest, error: messageOf(error) }, "a live piece list stays in the index")
    }
  }

  /**
   * Takes in a batch that a peer sent.
   * @returns false if it is malformed or its signature is wrong
   */
  async receive(digest: Digest, layout: PieceLayout, payload: Uint8Array): Promise<boolean> {
    const batch = parseBatch(payload, layout)
    if (batch === undefined) return false
    const entry = this.#entries.get(digest)
    if (entry === undefined || entry.checks >= CHECKS_MAX) return true
    // What this node says it knows from itself alone.
    if (batch.signer === this.#net.id) return true
    // Each neighbour passes each batch on: only the first copy is worth a signature check.
    if (entry.list.isRepeated(batch)) return true
    entry.checks++
    try {
      const bytes = batchBytes(digest, layout, batch)
      if (!(await this.#net.verify(batch.signer, bytes, batch.signature))) return false
    } catch {
      // The signer is no peer id.
      return false
    } finally {
      entry.checks--
    }
    if (entry.list.add(batch)) await this.#onAdded(digest, entry, batch)
    return true
  }

  /**
   * This node's own reader wrote a piece: its hash will be signed. A list that this node has not proved
   * never becomes whole by it, so that an origin's lie is not laid at this node's door.
   */
  announce(
    digest: Digest,
    layout: PieceLayout,
    piece: { index: number; sha256: Uint8Array },
  ): void {
    if (layout.count === 1) return
    const entry = this.#entry(digest, layout)
    entry.unsigned.set(piece.index, piece.sha256)
    if (!entry.isSigning) void this.#signOwn(digest, layout, entry)
  }

  /** A blob that was complete and proved lost pieces: what this node signed of it stays true. */
  async regrow(digest: Digest, layout: PieceLayout): Promise<void> {
    const signed = this.#whole.get(digest)
    if (signed === undefined) return
    const entry = this.#entry(digest, layout)
    // A signature that failed was told to whoever asked for it; then there is nothing to add.
    for (const batch of await signed.catch(() => [])) {
      if (entry.list.add(batch)) await this.#onAdded(digest, entry, batch)
    }
  }

  /** Gives the signed list of a blob that is complete and proved here. */
  whole(digest: Digest, layout: PieceLayout, hashes: Uint8Array): Promise<readonly SignedBatch[]> {
    const known = this.#whole.get(digest)
    if (known !== undefined) {
      this.#whole.delete(digest)
      this.#whole.set(digest, known)
      return known
    }
    const [oldest] = this.#whole.keys()
    if (this.#whole.size >= SIGNED_WHOLE_MAX && oldest !== undefined) this.#whole.delete(oldest)
    const signed = this.#signWhole(digest, layout, hashes)
    this.#whole.set(digest, signed)
    // A failed signature is not kept; whoever waits for it sees the error.
    signed.catch(() => this.#whole.delete(digest))
    return signed
  }

  #entry(digest: Digest, layout: PieceLayout): Entry {
    const known = this.#entries.get(digest)
    if (known !== undefined) return known
    const list = new LiveList(digest, layout)
    const { promise: loaded, resolve } = Promise.withResolvers<void>()
    const entry: Entry = {
      list,
      loaded,
      unsigned: new Map(),
      isSigning: false,
      checks: 0,
      stored: 0,
    }
    this.#entries.set(digest, entry)
    // A blob of one piece needs no list, so none was kept.
    if (layout.count <= 1) resolve()
    else void this.#load(digest, entry).finally(resolve)
    return entry
  }

  async #load(digest: Digest, entry: Entry): Promise<void> {
    try {
      for await (const [, payload] of this.#kv.scan(`${hexOf(digest)}/`)) {
        entry.stored++
        // It was checked when it came; the index is this node's own.
        const batch = parseBatch(payload, entry.list.layout)
        if (batch !== undefined) entry.list.add(batch)
      }
    } catch (error) {
      this.#log.warn({ digest, error: messageOf(error) }, "a live piece list cannot be read")
    }
    if (entry.stored > 0) this.#onGrown(digest, { start: 0, end: entry.list.layout.count })
  }

  async #onAdded(digest: Digest, entry: Entry, batch: SignedBatch): Promise<void> {
    const start = batch.firstIndex
    this.#onGrown(digest, { start, end: start + batch.hashes.length / SHA256_BYTES })
    await entry.loaded
    try {
      await this.#kv.put(keyOf(digest, entry.stored++), encodeBatch(batch))
    } catch (error) {
      // It is only wanted after a restart.
      this.#log.debug({ digest, error: messageOf(error) }, "a live piece list cannot be kept")
    }
  }

  async #signOwn(digest: Digest, layout: PieceLayout, entry: Entry): Promise<void> {
    entry.isSigning = true
    try {
      await this.#signRuns(digest, layout, entry)
    } catch (error) {
      // Without a signature the pieces are not told; the next piece tries again.
      this.#log.warn({ digest, error: messageOf(error) }, "a live piece list cannot be signed")
    } finally {
      entry.isSigning = false
    }
  }

  async #signRuns(digest: Digest, layout: PieceLayout, entry: Entry): Promise<void> {
    await entry.loaded
    while (entry.unsigned.size > 0) {
      const { firstIndex, hashes } = takeRun(entry.unsigned)
      const mayGrowBy = layout.count - 1 - entry.list.countBy(this.#net.id)
      const count = hashes.length / SHA256_BYTES
      const isKnown = entry.list.hashBy(this.#net.id, firstIndex) !== undefined
      const kept = isKnown ? count : Math.min(count, mayGrowBy)
      if (kept <= 0) continue
      const words = { firstIndex, hashes: hashes.subarray(0, kept * SHA256_BYTES) }
      const batch = await this.#sign(digest, layout, words)
      if (entry.list.add(batch)) await this.#onAdded(digest, entry, batch)
    }
  }

  async #signWhole(
    digest: Digest,
    layout: PieceLayout,
    hashes: Uint8Array,
  ): Promise<readonly SignedBatch[]> {
    const batches: SignedBatch[] = []
    for (let first = 0; first < layout.count; first += BATCH_PIECES_MAX) {
      const end = Math.min(first + BATCH_PIECES_MAX, layout.count)
      const part = hashes.slice(first * SHA256_BYTES, end * SHA256_BYTES)
      batches.push(await this.#sign(digest, layout, { firstIndex: first, hashes: part }))
    }
    return batches
  }

  async #sign(
    digest: Digest,
    layout: PieceLayout,
    words: Pick<SignedBatch, "firstIndex" | "hashes">,
  ): Promise<SignedBatch> {
    const signature = await this.#net.sign(batchBytes(digest, layout, words))
    return { ...words, signer: this.#net.id, signature }
  }
}

/** Takes consecutive pieces out of those that wait, from the lowest on. */
function takeRun(unsigned: Map<number, Uint8Array>): { firstIndex: number; hashes: Uint8Array } {
  let first = Number.POSITIVE_INFINITY
  for (const index of unsigned.keys()) first = Math.min(first, index)
  const run: Uint8Array[] = []
  while (run.length < BATCH_PIECES_MAX) {
    const hash = unsigned.get(first + run.length)
    if (hash === undefined) break
    unsigned.delete(first + run.length)
    run.push(hash)
  }
  return { firstIndex: first, hashes: Buffer.concat(run) }
}

function keyOf(digest: Digest, order: number): string {
  return `${hexOf(digest)}/${String(order).padStart(8, "0")}`
}
