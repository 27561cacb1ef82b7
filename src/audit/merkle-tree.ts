/**
 * Merkle trees as in Certificate Transparency: the root over a list, proofs that a leaf is in it, and the
 * checking of those and of proofs that a longer list begins with a shorter one (RFC 6962 §2.1; RFC 9162
 * §2.1 for verifying). Proofs of long lists are made from tiles (`tree-reader.ts`).
 * @module
 */
import { sha256 } from "../core/digest.ts"
import { assert } from "../core/errors.ts"

/** Length of every hash here, in bytes. */
const HASH_BYTES = 32
const LEAF_PREFIX = Uint8Array.of(0)
const NODE_PREFIX = Uint8Array.of(1)
/** More hashes than a proof in a list of 2^53 entries has. */
const PROOF_HASHES_MAX = 64

/** Gives the hash of an entry: SHA-256(0x00 ‖ entry), 32 bytes. */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF_PREFIX, entry]))
}

/** Gives the tree's root, 32 bytes; of no leaves the SHA-256 of nothing. */
export function treeRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array(0))
  let level = leaves
  while (level.length > 1) level = parentsOf(level)
  return level[0]!
}

/**
 * Proves that a leaf stands at a place of the list.
 * @param leaves - leaf hashes, in order
 * @param index - 0-based place, below the number of leaves
 * @returns sibling hashes from the leaf up to the root (RFC 6962 §2.1.1)
 */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  assert(Number.isSafeInteger(index) && index >= 0 && index < leaves.length, "a leaf of the list")
  const proof: Uint8Array[] = []
  let level = leaves
  for (let place = index; level.length > 1; place = Math.floor(place / 2)) {
    const sibling = level[place % 2 === 0 ? place + 1 : place - 1]
    if (sibling !== undefined) proof.push(sibling)
    level = parentsOf(level)
  }
  return proof
}

/**
 * Tells whether a proof shows that a leaf stands at a place of the list with this root.
 * @see RFC 9162 §2.1.3.2
 */
export function isIncluded(
  claim: { readonly leaf: Uint8Array; readonly index: number; readonly size: number },
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const { leaf, index, size } = claim
  if (!isCount(index) || !isCount(size) || index >= size) return false
  if (!isWellFormed([leaf, root, ...proof], proof)) return false
  let [node, last, hash] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    const isRight = node % 2 === 1
    if (isRight || node === last) {
      hash = nodeHash(sibling, hash)
      if (!isRight) [node, last] = climbToRight(node, last)
    } else hash = nodeHash(hash, sibling)
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  return last === 0 && isSameHash(hash, root)
}

/**
 * Tells whether a proof shows that the longer list begins with the shorter one.
 * @see RFC 9162 §2.1.4.2
 */
export function isConsistent(
  older: { readonly size: number; readonly root: Uint8Array },
  newer: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (!isCount(older.size) || !isCount(newer.size) || older.size > newer.size) return false
  if (!isWellFormed([older.root, newer.root, ...proof], proof)) return false
  if (older.size === newer.size) return proof.length === 0 && isSameHash(older.root, newer.root)
  // Every list begins with the empty one; there is nothing to prove.
  if (older.size === 0) return proof.length === 0 && isSameHash(older.root, treeRoot([]))
  const path = isPowerOfTwo(older.size) ? [older.root, ...proof] : [...proof]
  return isSamePath(path, { older, newer })
}

/** Computes both roots from one path, and compares. */
function isSamePath(
  path: readonly Uint8Array[],
  { older, newer }: Record<"older" | "newer", { readonly size: number; readonly root: Uint8Array }>,
): boolean {
  const [first, ...rest] = path
  if (first === undefined) return false
  let [node, last] = [older.size - 1, newer.size - 1]
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  let [oldHash, newHash] = [first, first]
  for (const sibling of rest) {
    if (last === 0) return false
    const isRight = node % 2 === 1
    if (isRight || node === last) {
      oldHash = nodeHash(sibling, oldHash)
      newHash = nodeHash(sibling, newHash)
      if (!isRight) [node, last] = climbToRight(node, last)
    } else newHash = nodeHash(newHash, sibling)
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  return last === 0 && isSameHash(oldHash, older.root) && isSameHash(newHash, newer.root)
}

/** Goes up past levels where a node at the right edge has no sibling. */
function climbToRight(node: number, last: number): [number, number] {
  let [above, edge] = [node, last]
  while (above % 2 === 0 && above !== 0) {
    ;[above, edge] = [Math.floor(above / 2), Math.floor(edge / 2)]
  }
  return [above, edge]
}

/** Gives the largest power of two below a number that is at least 2. */
export function splitOf(count: number): number {
  let split = 1
  while (split * 2 < count) split *= 2
  return split
}

function parentsOf(level: readonly Uint8Array[]): Uint8Array[] {
  const parents: Uint8Array[] = []
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at]!, level[at + 1]]
    parents.push(right === undefined ? left : nodeHash(left, right))
  }
  return parents
}

/** Gives the hash of an inner node: SHA-256(0x01 ‖ left ‖ right), 32 bytes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([NODE_PREFIX, left, right]))
}

function isWellFormed(hashes: readonly Uint8Array[], proof: readonly Uint8Array[]): boolean {
  return proof.length <= PROOF_HASHES_MAX && hashes.every(({ length }) => length === HASH_BYTES)
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0

/** Whether a number from 1 on is a power of two. */
export function isPowerOfTwo(count: number): boolean {
  let power = 1
  while (power < count) power *= 2
  return power === count
}

/** Whether two hashes are the same. */
export const isSameHash = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
