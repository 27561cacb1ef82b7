/**
 * The SHA-256 of pieces as signers tell it (protocol/live-piece-list.md): a hint that is good for
 * refusing a piece and never for a ban, until the whole digest is proved.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import { type Digest, rawOf, SHA256_BYTES } from "../core/digest.ts"
import { lengthPrefixed, uint32, uint64 } from "../core/length-prefix.ts"
import type { PieceLayout } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"

const KIND = "sealift/live-piece-list/v1"
/** Most pieces that one batch speaks of: 128 KiB of hashes. */
export const BATCH_PIECES_MAX = 4096
/** Most signers that are listened to for one blob. */
const SIGNERS_MAX = 32
/** Most batches that a signer may send of one blob, per piece of it: it may change its mind. */
const BATCHES_PER_PIECE_MAX = 4
const SIGNER_BYTES_MAX = 128
const SIGNATURE_BYTES = 64

/** Consecutive piece hashes, signed by the node that read or proved those pieces. */
export interface SignedBatch {
  readonly signer: PeerId
  readonly firstIndex: number
  /** 32 bytes per piece. */
  readonly hashes: Uint8Array
  readonly signature: Uint8Array
}

/** Gives the bytes that a batch's signature covers (protocol/live-piece-list.md, Signing). */
export function batchBytes(
  digest: Digest,
  layout: PieceLayout,
  batch: Pick<SignedBatch, "firstIndex" | "hashes">,
): Uint8Array {
  return lengthPrefixed(
    KIND,
    rawOf(digest),
    uint64(layout.sizeBytes),
    uint32(layout.lengthBytes),
    uint32(batch.firstIndex),
    batch.hashes,
  )
}

/** Encodes a batch for the wire: signer, first index, hashes, signature. */
export function encodeBatch(batch: SignedBatch): Uint8Array {
  const signer = Buffer.from(batch.signer)
  const head = Buffer.alloc(1 + signer.length + 8)
  head[0] = signer.length
  head.set(signer, 1)
  head.writeUInt32BE(batch.firstIndex, 1 + signer.length)
  head.writeUInt32BE(batch.hashes.length / SHA256_BYTES, 5 + signer.length)
  return Buffer.concat([head, batch.hashes, batch.signature])
}

/** Parses a batch; undefined if it is malformed or does not fit the blob. The signature is not checked. */
export function parseBatch(bytes: Uint8Array, layout: PieceLayout): SignedBatch | undefined {
  const signerLength = bytes[0]
  if (signerLength === undefined || signerLength === 0 || signerLength > SIGNER_BYTES_MAX) {
    return undefined
  }
  const hashesAt = 1 + signerLength + 8
  if (bytes.length < hashesAt) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const firstIndex = view.getUint32(1 + signerLength)
  const count = view.getUint32(5 + signerLength)
  if (count === 0 || count > BATCH_PIECES_MAX || firstIndex + count > layout.count) return undefined
  const signatureAt = hashesAt + count * SHA256_BYTES
  if (bytes.length !== signatureAt + SIGNATURE_BYTES) return undefined
  return {
    signer: Buffer.from(bytes.subarray(1, 1 + signerLength)).toString("latin1"),
    firstIndex,
    hashes: bytes.slice(hashesAt, signatureAt),
    signature: bytes.slice(signatureAt),
  }
}

/** Words of a signer about one piece that are remembered at most. */
const OVERHEARD_PER_PIECE_MAX = 16

/** What one signer says of a blob. */
interface Testimony {
  readonly signer: PeerId
  readonly order: number
  readonly hashes: Uint8Array
  readonly known: Bitfield
  /** The batch in which the signer last spoke of each piece. */
  readonly batches: (SignedBatch | undefined)[]
  batchCount: number
  /** What the signer said of a piece before it said something else, by piece: it has still said it. */
  readonly retracted: Map<number, Uint8Array[]>
  retractedCount: number
  /** On how many pieces each other signer says the same, and on how many something else. */
  readonly common: Map<Testimony, number>
  readonly conflicts: Map<Testimony, number>
}

/** All that signers say of one blob, and which of them is believed for now. */
export class LiveList {
  readonly digest: Digest
  readonly layout: PieceLayout
  readonly #testimonies = new Map<PeerId, Testimony>()
  /** Signers that are not believed, and whether they were proved wrong. */
  readonly #excluded = new Map<PeerId, "doubted" | "proved">()
  #ranking: readonly Testimony[] = []

  constructor(digest: Digest, layout: PieceLayout) {
    this.digest = digest
    this.layout = layout
  }

  get signers(): readonly PeerId[] {
    return [...this.#testimonies.keys()]
  }

  /**
   * Takes in a batch whose signature was found right. A signer's later word replaces its earlier one,
   * once for each piece; who changes its mind more often is not listened to.
   * @returns whether it said anything new
   */
  add(batch: SignedBatch): boolean {
    const testimony = this.#testimonyOf(batch.signer)
    if (testimony === undefined) return false
    const count = batch.hashes.length / SHA256_BYTES
    const isTooOften = testimony.batchCount >= BATCHES_PER_PIECE_MAX * this.layout.count
    const retractions = testimony.retractedCount + changesBy(testimony, batch)
    if (isTooOften || retractions > this.layout.count) {
      this.#overhear(testimony, batch)
      return false
    }
    let isNews = false
    for (let offset = 0; offset < count; offset++) {
      const hash = batch.hashes.subarray(offset * SHA256_BYTES, (offset + 1) * SHA256_BYTES)
      if (this.#note(testimony, batch.firstIndex + offset, hash)) isNews = true
    }
    if (!isNews) return false
    testimony.batchCount++
    testimony.batches.fill(batch, batch.firstIndex, batch.firstIndex + count)
    this.#rank()
    return true
  }

  /**
   * Gives the SHA-256 that a piece must have (32 bytes), by the best signer that speaks of it. A blob
   * of one piece needs no signer: its digest is its piece's.
   */
  expected(index: number): Uint8Array | undefined {
    if (this.layout.count === 1) return rawOf(this.digest)
    return this.#believed(index)?.hashes.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
  }

  /** Tells whether a piece with this SHA-256 may be passed on: somebody signed exactly that. */
  covers(index: number, hash: Uint8Array): boolean {
    const expected = this.expected(index)
    return expected !== undefined && isEqual(expected, hash)
  }

  /** Gives the believed batch that speaks of a piece, to relay it as it is. */
  batchFor(index: number): SignedBatch | undefined {
    return this.#believed(index)?.batches[index]
  }

  /** Tells whether any signer, believed or not, said this of a piece, be it retracted since. */
  isSaid(index: number, hash: Uint8Array): boolean {
    for (const testimony of this.#testimonies.values()) {
      if (wordsOf(testimony, index).some((word) => isEqual(word, hash))) return true
    }
    return false
  }

  /** Tells whether any signer, believed or not, said something else than this of a piece. */
  isDenied(index: number, hash: Uint8Array): boolean {
    for (const testimony of this.#testimonies.values()) {
      if (wordsOf(testimony, index).some((word) => !isEqual(word, hash))) return true
    }
    return false
  }

  /** Tells whether a batch, signature unseen, says only what its signer is known to have said. */
  isRepeated(batch: SignedBatch): boolean {
    const testimony = this.#testimonies.get(batch.signer)
    if (testimony === undefined) return false
    const count = batch.hashes.length / SHA256_BYTES
    for (let offset = 0; offset < count; offset++) {
      if (!testimony.known.has(batch.firstIndex + offset)) return false
    }
    const at = batch.firstIndex * SHA256_BYTES
    return isEqual(testimony.hashes.subarray(at, at + batch.hashes.length), batch.hashes)
  }

  /** Gives what a signer said of a piece, excluded or not. */
  hashBy(signer: PeerId, index: number): Uint8Array | undefined {
    const testimony = this.#testimonies.get(signer)
    if (testimony?.known.has(index) !== true) return undefined
    return testimony.hashes.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
  }

  /** Gives of how many pieces a signer spoke. */
  countBy(signer: PeerId): number {
    return this.#testimonies.get(signer)?.known.count ?? 0
  }

  /** Believes a signer of this blob no more: for ever when it was proved wrong. */
  exclude(signer: PeerId, why: "doubted" | "proved"): void {
    if (this.#excluded.get(signer) === "proved" || !this.#testimonies.has(signer)) return
    this.#excluded.set(signer, why)
    this.#rank()
  }

  /** Listens again to those who were only doubted. @returns whether there were any */
  restoreDoubted(): boolean {
    const doubted = [...this.#excluded].filter(([, why]) => why === "doubted")
    for (const [signer] of doubted) this.#excluded.delete(signer)
    this.#rank()
    return doubted.length > 0
  }

  isExcluded(signer: PeerId): boolean {
    return this.#excluded.has(signer)
  }

  /** Tells whether signers that are listened to contradict each other. */
  get hasConflict(): boolean {
    return this.#ranking.some((one) =>
      this.#ranking.some((other) => (one.conflicts.get(other) ?? 0) > 0),
    )
  }

  /** Gives the signer that is believed about a piece. */
  believed(index: number): PeerId | undefined {
    return this.#believed(index)?.signer
  }

  /**
   * Gives the signers, excluded or not, that spoke of every piece and said exactly `hashes`: the
   * content that their signed word fixes.
   */
  signersOfWhole(hashes: Uint8Array): readonly PeerId[] {
    const whole = [...this.#testimonies.values()].filter(
      (testimony) => testimony.known.isFull && isEqual(testimony.hashes, hashes),
    )
    return whole.map((testimony) => testimony.signer)
  }

  /** Gives the signers that ever said something else than the proven hashes, and what, of one piece. */
  contradicting(
    proven: Uint8Array,
  ): readonly { signer: PeerId; index: number; signed: Uint8Array }[] {
    const found: { signer: PeerId; index: number; signed: Uint8Array }[] = []
    for (const testimony of this.#testimonies.values()) {
      for (let index = 0; index < this.layout.count; index++) {
        const right = proven.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
        const signed = wordsOf(testimony, index).find((word) => !isEqual(word, right))
        if (signed === undefined) continue
        found.push({ signer: testimony.signer, index, signed })
        break
      }
    }
    return found
  }

  #believed(index: number): Testimony | undefined {
    return this.#ranking.find((testimony) => testimony.known.has(index))
  }

  #testimonyOf(signer: PeerId): Testimony | undefined {
    const known = this.#testimonies.get(signer)
    if (known !== undefined) return known
    if (this.#testimonies.size >= SIGNERS_MAX) return undefined
    const { count } = this.layout
    const testimony: Testimony = {
      signer,
      order: this.#testimonies.size,
      hashes: new Uint8Array(count * SHA256_BYTES),
      known: new Bitfield(count),
      batches: new Array(count).fill(undefined),
      batchCount: 0,
      retracted: new Map(),
      retractedCount: 0,
      common: new Map(),
      conflicts: new Map(),
    }
    this.#testimonies.set(signer, testimony)
    return testimony
  }

  /**
   * Notes what a signer says that is not listened to any more: it is not believed, but who passes it on
   * on the word of others, who heard the signer later or less often, is not guilty of it.
   */
  #overhear(testimony: Testimony, batch: SignedBatch): void {
    const { retracted } = testimony
    for (let at = 0; at < batch.hashes.length; at += SHA256_BYTES) {
      const index = batch.firstIndex + at / SHA256_BYTES
      const hash = batch.hashes.slice(at, at + SHA256_BYTES)
      if (wordsOf(testimony, index).some((word) => isEqual(word, hash))) continue
      const words = retracted.get(index) ?? []
      if (words.length < OVERHEARD_PER_PIECE_MAX) retracted.set(index, [...words, hash])
    }
  }

  /** Notes one hash. @returns whether it is news */
  #note(testimony: Testimony, index: number, hash: Uint8Array): boolean {
    const at = index * SHA256_BYTES
    const place = testimony.hashes.subarray(at, at + SHA256_BYTES)
    const isKnown = testimony.known.has(index)
    if (isKnown && isEqual(place, hash)) return false
    if (isKnown) {
      this.#relate(testimony, index, -1)
      const retracted = testimony.retracted.get(index) ?? []
      testimony.retracted.set(index, [...retracted, place.slice()])
      testimony.retractedCount++
    }
    place.set(hash)
    testimony.known.add(index)
    this.#relate(testimony, index, 1)
    return true
  }

  /** Counts with whom a signer agrees about one piece, or takes that back. */
  #relate(testimony: Testimony, index: number, step: 1 | -1): void {
    const at = index * SHA256_BYTES
    const place = testimony.hashes.subarray(at, at + SHA256_BYTES)
    for (const other of this.#testimonies.values()) {
      if (other === testimony || !other.known.has(index)) continue
      const isSame = isEqual(other.hashes.subarray(at, at + SHA256_BYTES), place)
      const [mine, theirs] = isSame
        ? [testimony.common, other.common]
        : [testimony.conflicts, other.conflicts]
      mine.set(other, (mine.get(other) ?? 0) + step)
      theirs.set(testimony, (theirs.get(testimony) ?? 0) + step)
    }
  }

  /** Puts those first with whom most others agree; among equals those that say more, then the first. */
  #rank(): void {
    const all = [...this.#testimonies.values()].filter(({ signer }) => !this.#excluded.has(signer))
    const agreeing = new Map(all.map((testimony) => [testimony, agreeingCount(testimony, all)]))
    this.#ranking = all.sort(
      (a, b) =>
        agreeing.get(b)! - agreeing.get(a)! || b.known.count - a.known.count || a.order - b.order,
    )
  }
}

/** All that a signer has said of a piece. */
function wordsOf({ known, hashes, retracted }: Testimony, index: number): readonly Uint8Array[] {
  const before = retracted.get(index) ?? []
  if (!known.has(index)) return before
  return [hashes.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES), ...before]
}

/** Of how many pieces a batch says something else than its signer said last. */
function changesBy({ known, hashes }: Testimony, batch: SignedBatch): number {
  let changes = 0
  for (let at = 0; at < batch.hashes.length; at += SHA256_BYTES) {
    const index = batch.firstIndex + at / SHA256_BYTES
    const before = hashes.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
    const isSame = isEqual(before, batch.hashes.subarray(at, at + SHA256_BYTES))
    if (known.has(index) && !isSame) changes++
  }
  return changes
}

/** Two signers agree when they speak of a common piece and differ in none. */
function agreeingCount(testimony: Testimony, others: readonly Testimony[]): number {
  const agrees = (other: Testimony) =>
    (testimony.common.get(other) ?? 0) > 0 && (testimony.conflicts.get(other) ?? 0) === 0
  return others.filter(agrees).length
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
