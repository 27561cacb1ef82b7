/** Merkle trees: RFC 6962's own lists, outside vectors, and a second way of computing a root. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { TILE_WIDTH } from "../../../src/audit/log-tile.ts"
import {
  inclusionProof,
  isConsistent,
  isIncluded,
  leafHash,
  treeRoot,
} from "../../../src/audit/merkle-tree.ts"
import { proveConsistency, type ReadHashes } from "../../../src/audit/tree-reader.ts"
import { leafOf, rootOf } from "../../support/rfc6962.ts"

const OUTSIDE = "../shared/vectors/rfc6962"
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const base64 = (text: string | null) => Buffer.from(text ?? "", "base64")

const entriesOf = (count: number) =>
  Array.from({ length: count }, (_, index) => Buffer.from(`entry ${index}`))
const leavesOf = (count: number) => entriesOf(count).map(leafHash)

describe("a tree's root", () => {
  test("of nothing is the SHA-256 of nothing", () => {
    expect(hex(treeRoot([]))).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
  })

  test("of up to 70 entries is what the definition says", () => {
    for (let count = 0; count <= 70; count++) {
      expect(hex(treeRoot(leavesOf(count)))).toBe(hex(rootOf(entriesOf(count).map(leafOf))))
    }
  })
})

describe("an inclusion proof", () => {
  test("of each leaf of each list of up to 40 holds, and for no other place, size, leaf or root", () => {
    for (let size = 1; size <= 40; size++) {
      const leaves = leavesOf(size)
      const root = treeRoot(leaves)
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(leaves, index)
        const leaf = leaves[index]!
        expect(isIncluded({ leaf, index, size }, proof, root)).toBe(true)
        const others = Array.from({ length: size }, (_, other) => other).filter((o) => o !== index)
        for (const other of others) {
          expect(isIncluded({ leaf, index: other, size }, proof, root)).toBe(false)
        }
        expect(isIncluded({ leaf, index, size }, proof, leafHash(root))).toBe(false)
        expect(isIncluded({ leaf: leafHash(leaf), index, size }, proof, root)).toBe(false)
        expect(isIncluded({ leaf, index, size }, [...proof, leaf], root)).toBe(false)
        if (proof.length > 0) {
          expect(isIncluded({ leaf, index, size }, proof.slice(1), root)).toBe(false)
        }
      }
    }
  })

  test("is refused with numbers that are no counts and hashes of another length", () => {
    const leaf = leafHash(Buffer.from("only"))
    expect(isIncluded({ leaf, index: 0, size: 1 }, [], leaf)).toBe(true)
    expect(isIncluded({ leaf, index: 0.5, size: 1 }, [], leaf)).toBe(false)
    expect(isIncluded({ leaf, index: -1, size: 1 }, [], leaf)).toBe(false)
    expect(isIncluded({ leaf, index: 1, size: 1 }, [], leaf)).toBe(false)
    const short = leaf.subarray(1)
    expect(isIncluded({ leaf: short, index: 0, size: 1 }, [], short)).toBe(false)
  })
})

/** Hashes of a list as its tiles give them. */
const tilesOf =
  (leaves: readonly Uint8Array[]): ReadHashes =>
  async ({ level, start, count }) => {
    const unit = TILE_WIDTH ** level
    return Array.from({ length: count }, (_, place) => {
      const first = (start + place) * unit
      return treeRoot(leaves.slice(first, first + unit))
    })
  }
const consistencyProof = (leaves: readonly Uint8Array[], older: number) =>
  proveConsistency(tilesOf(leaves), { older, size: leaves.length })

describe("a consistency proof", () => {
  test("of each beginning of each list of up to 30 holds, and one changed hash breaks it", async () => {
    for (let size = 1; size <= 30; size++) {
      const leaves = leavesOf(size)
      const newer = { size, root: treeRoot(leaves) }
      for (let part = 1; part <= size; part++) {
        const older = { size: part, root: treeRoot(leaves.slice(0, part)) }
        const proof = await consistencyProof(leaves, part)
        expect(isConsistent(older, newer, proof)).toBe(true)
        for (let at = 0; at < proof.length; at++) {
          const changed = proof.with(at, leafHash(proof[at]!))
          expect(isConsistent(older, newer, changed)).toBe(false)
        }
        const fork = { size, root: treeRoot([...leavesOf(part).reverse(), ...leaves.slice(part)]) }
        if (part > 1) expect(isConsistent(older, fork, proof)).toBe(false)
      }
    }
  })

  test("of large lists holds for any beginning", async () => {
    const leaves = leavesOf(3_000)
    const newer = { size: leaves.length, root: treeRoot(leaves) }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: leaves.length }), async (size) => {
        const older = { size, root: treeRoot(leaves.slice(0, size)) }
        return isConsistent(older, newer, await consistencyProof(leaves, size))
      }),
      { numRuns: 20, seed: 1 },
    )
  })
})

const outside = (kind: string): string[] =>
  existsSync(OUTSIDE)
    ? readdirSync(join(OUTSIDE, kind), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".json"))
        .map((name) => join(OUTSIDE, kind, name))
    : []

interface OutsideProof {
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}
interface OutsideInclusion extends OutsideProof {
  readonly leafIdx: number
  readonly treeSize: number
  readonly root: string | null
  readonly leafHash: string | null
}
interface OutsideConsistency extends OutsideProof {
  readonly size1: number
  readonly size2: number
  readonly root1: string | null
  readonly root2: string | null
}
const read = <Vector>(path: string): Vector => JSON.parse(readFileSync(path, "utf8"))
const proofOf = (proof: readonly string[] | null) => (proof ?? []).map(base64)

describe.skipIf(!existsSync(OUTSIDE))("the outside vectors of RFC 6962 proofs", () => {
  test.each(outside("inclusion"))("are judged alike: %s", (path) => {
    const {
      leafIdx: index,
      treeSize: size,
      root,
      leafHash: leaf,
      proof,
      wantErr,
    } = read<OutsideInclusion>(path)
    const isGood = isIncluded({ leaf: base64(leaf), index, size }, proofOf(proof), base64(root))
    expect(isGood).toBe(!wantErr)
  })

  test.each(outside("consistency"))("are judged alike: %s", (path) => {
    const { size1, size2, root1, root2, proof, wantErr } = read<OutsideConsistency>(path)
    const [older, newer] = [
      { size: size1, root: base64(root1) },
      { size: size2, root: base64(root2) },
    ]
    // One of them calls a text of 12 bytes a root, and compares it; here a root is a hash.
    const isHash = older.root.length === 32
    expect(isConsistent(older, newer, proofOf(proof))).toBe(!wantErr && isHash)
  })
})
