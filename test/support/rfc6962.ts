/**
 * Merkle trees as RFC 6962 §2.1 defines them, word by word, for vectors and tests; nothing of the code
 * under test is imported. The hashes of leaves are made first, by {@link leafOf}.
 */
import { createHash } from "node:crypto"

const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  createHash("sha256").update(Buffer.concat(parts)).digest()

/** The hash of a leaf. */
export function leafOf(entry: Uint8Array | string): Buffer {
  return sha256(Uint8Array.of(0), Buffer.from(entry))
}

/** §2.1: the root. */
export function rootOf(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return Buffer.from(leaves[0]!)
  const [left, right] = halvesOf(leaves)
  return sha256(Uint8Array.of(1), rootOf(left), rootOf(right))
}

/** §2.1.1: the hashes that prove a leaf. */
export function pathOf(index: number, leaves: readonly Uint8Array[]): Buffer[] {
  if (leaves.length === 1) return []
  const [left, right] = halvesOf(leaves)
  if (index < left.length) return [...pathOf(index, left), rootOf(right)]
  return [...pathOf(index - left.length, right), rootOf(left)]
}

/** §2.1.2: the hashes that prove that a list began with its first `older` leaves. */
export function growthOf(older: number, leaves: readonly Uint8Array[], isWhole = true): Buffer[] {
  if (older === leaves.length) return isWhole ? [] : [rootOf(leaves)]
  const [left, right] = halvesOf(leaves)
  if (older <= left.length) return [...growthOf(older, left, isWhole), rootOf(right)]
  return [...growthOf(older - left.length, right, false), rootOf(left)]
}

/** The left one is the largest power of two that is less than all. */
function halvesOf(
  leaves: readonly Uint8Array[],
): readonly [left: Uint8Array[], right: Uint8Array[]] {
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return [leaves.slice(0, split), leaves.slice(split)]
}
