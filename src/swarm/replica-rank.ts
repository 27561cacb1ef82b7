/**
 * The order in which nodes are charged with a blob's copies (rendezvous hashing): all who see the same
 * nodes come to the same order, without a word.
 * @module
 */
import { createHash } from "node:crypto"
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"

/** Gives a node's score for a blob; those with the highest are charged. */
export function replicaScore(peer: PeerId, digest: Digest): string {
  return createHash("sha256").update(digest).update(peer).digest("hex")
}

/** Orders nodes by their scores, the highest first. */
export function byReplicaRank(peers: readonly PeerId[], digest: Digest): PeerId[] {
  const scores = new Map(peers.map((peer) => [peer, replicaScore(peer, digest)]))
  return [...peers].sort((a, b) => (scores.get(a)! > scores.get(b)! ? -1 : 1))
}
