/**
 * What follows from the digest of the whole (protocol/live-piece-list.md, Settling): whom it proves
 * wrong, and which pieces are in doubt.
 * @module
 */
import { SHA256_BYTES, sha256 } from "../core/digest.ts"
import { pieceRange } from "../core/piece.ts"
import type { PeerId } from "../net/net.ts"
import type { PartialBlob } from "../store/store.ts"
import type { Judge, Verdict } from "./judge.ts"
import type { LiveList } from "./live-list.ts"

/**
 * The whole is right: senders and signers are measured against it.
 * @param proven - SHA-256 of each piece, 32 bytes each
 */
export async function settleRight(
  blob: PartialBlob,
  list: LiveList,
  judge: Judge,
  proven: Uint8Array,
): Promise<Verdict[]> {
  const hashOf = (index: number) => slice(proven, index)
  // Who passed on what somebody signed is not guilty of it: the signer is.
  const isSaid = (index: number, hash: Uint8Array) => list.isSaid(index, hash)
  const isDenied = (index: number) => list.isDenied(index, hashOf(index))
  const verdicts = await judge.verdicts({ hashOf, isSaid, isDenied }, async (index, part) => {
    const { start } = pieceRange(blob.layout, index)
    return sha256(await blob.read({ start: start + part.begin, end: start + part.end }))
  })
  for (const { signer, index, signed } of list.contradicting(proven)) {
    const evidence = { piece: index, signed: hex(signed), proven: hex(hashOf(index)) }
    verdicts.push({ peer: signer, reason: "wrong-list", evidence })
  }
  return verdicts
}

/**
 * The whole is wrong. Who signed all of exactly these pieces is proved wrong; otherwise those who
 * were believed are believed no more, and nobody is guilty yet.
 * @returns the pieces that the lists which are left do not bear out
 */
export function settleWrong(
  blob: PartialBlob,
  list: LiveList,
  selfId: PeerId,
): { dropped: readonly number[]; verdicts: readonly Verdict[] } {
  const hashes = hashesOf(blob)
  const liars = list.signersOfWhole(hashes)
  for (const signer of liars) list.exclude(signer, "proved")
  // With the liars out, those who were doubted for their sake are heard again.
  if (liars.length > 0) list.restoreDoubted()
  else for (const signer of believedOf(list, selfId)) list.exclude(signer, "doubted")
  const all = Array.from({ length: blob.layout.count }, (_, index) => index)
  const doubtful = all.filter((index) => !list.covers(index, slice(hashes, index)))
  const evidence = { digest: blob.digest, list: hex(sha256(hashes)) }
  return {
    // When all that is left says the same, it is wrong as well.
    dropped: doubtful.length > 0 ? doubtful : all,
    verdicts: liars.map((peer) => ({ peer, reason: "wrong-list", evidence })),
  }
}

/**
 * Nobody goes on by the list as it is believed. If signers contradict each other, those believed are
 * believed no more; if nobody is left to believe, all who were only doubted are heard again.
 * @returns the pieces here that the new choice contradicts; undefined if there is no other choice
 */
export function doubtBelieved(
  blob: PartialBlob,
  list: LiveList,
  selfId: PeerId,
): readonly number[] | undefined {
  if (list.hasConflict) {
    for (const signer of believedOf(list, selfId)) list.exclude(signer, "doubted")
  } else if (!list.restoreDoubted()) return undefined
  const doubtful: number[] = []
  for (let index = 0; index < blob.layout.count; index++) {
    const hash = blob.pieceSha256(index)
    const isSpokenOf = list.expected(index) !== undefined
    if (hash !== undefined && isSpokenOf && !list.covers(index, hash)) doubtful.push(index)
  }
  return doubtful
}

/** What this node read from the origin itself is doubted last. */
function believedOf(list: LiveList, selfId: PeerId): readonly PeerId[] {
  const signers = new Set<PeerId>()
  for (let index = 0; index < list.layout.count; index++) {
    const signer = list.believed(index)
    if (signer !== undefined) signers.add(signer)
  }
  const others = [...signers].filter((signer) => signer !== selfId)
  return others.length > 0 ? others : [...signers]
}

function hashesOf(blob: PartialBlob): Uint8Array {
  const hashes = new Uint8Array(blob.layout.count * SHA256_BYTES)
  for (let index = 0; index < blob.layout.count; index++) {
    const hash = blob.pieceSha256(index)
    if (hash !== undefined) hashes.set(hash, index * SHA256_BYTES)
  }
  return hashes
}

function slice(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * SHA256_BYTES, (index + 1) * SHA256_BYTES)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
