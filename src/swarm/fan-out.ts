/**
 * Shares the pieces of a fresh blob out among those who fetch it at the same time, so that its only
 * seed sends each piece about once (the idea of BEP 16, decided by the fetchers).
 * @module
 */
import { createHash } from "node:crypto"
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"

/** Fetchers among whom pieces are shared out. */
const MEMBERS_MAX = 64

/**
 * Tells which pieces this node should bring first: rendezvous hashing over it and the others, so that
 * nodes with the same view agree without a word.
 * @returns undefined when there is nobody to share with
 */
export function shareOf(
  self: PeerId,
  others: readonly PeerId[],
  digest: Digest,
): ((index: number) => boolean) | undefined {
  if (others.length === 0) return undefined
  const members = [...others].sort().slice(0, MEMBERS_MAX)
  const ownSeed = seedOf(self, digest)
  const seeds = members.map((peer) => seedOf(peer, digest))
  return (index) => {
    const own = mix(ownSeed ^ Math.imul(index + 1, 0x9e3779b1))
    return seeds.every((seed) => mix(seed ^ Math.imul(index + 1, 0x9e3779b1)) <= own)
  }
}

function seedOf(peer: PeerId, digest: Digest): number {
  return createHash("sha256").update(digest).update(peer).digest().readUInt32BE()
}

/** Spreads 32 bits evenly (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
