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

/** Blobs of more pieces are shared out evenly enough by chance. */
const EVEN_PIECES_MAX = 4096

/**
 * Tells which pieces this node should bring first: rendezvous hashing over it and the others with an
 * equal load for each, so that nodes with the same view agree without a word, and change little when
 * the view does. Equal, because who brings a piece passes it on to all others: with a share half as
 * large again its uplink would hold up everybody.
 * @param count - pieces of the blob
 * @returns undefined when there is nobody to share with
 */
export function shareOf(
  self: PeerId,
  others: readonly PeerId[],
  blob: { digest: Digest; count: number },
): ((index: number) => boolean) | undefined {
  if (others.length === 0) return undefined
  const { digest, count } = blob
  const members = [self, ...[...others].sort().slice(0, MEMBERS_MAX)].sort()
  const seeds = members.map((peer) => seedOf(peer, digest))
  const own = members.indexOf(self)
  if (count > EVEN_PIECES_MAX) return (index) => bestOf(seeds, index) === own
  const loadMax = Math.ceil(count / members.length)
  const loads = new Array<number>(members.length).fill(0)
  const isOwn = new Uint8Array(count)
  for (let index = 0; index < count; index++) {
    const member = bestOf(seeds, index, (candidate) => loads[candidate]! < loadMax)
    loads[member]!++
    if (member === own) isOwn[index] = 1
  }
  return (index) => isOwn[index] === 1
}

/** Gives the member with the highest score for a piece among those that may be. */
function bestOf(
  seeds: readonly number[],
  index: number,
  mayBe: (member: number) => boolean = () => true,
): number {
  let best = 0
  let bestScore = -1
  for (const [member, seed] of seeds.entries()) {
    const score = mix(seed ^ Math.imul(index + 1, 0x9e3779b1))
    if (score <= bestScore || !mayBe(member)) continue
    best = member
    bestScore = score
  }
  return best
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
