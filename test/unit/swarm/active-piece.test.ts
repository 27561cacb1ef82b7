/** The blocks of a piece on their way. */
import { expect, test } from "vitest"
import { sha256 } from "../../../src/core/digest.ts"
import { ActivePiece, type Giver } from "../../../src/swarm/active-piece.ts"

const BLOCK = 16_384
const piece = (blocks = 4) => new ActivePiece(7, blocks * BLOCK - 10, 0)

const A = { peer: "A" }
const B = { peer: "B" }

function receive(of: ActivePiece, block: number, giver: Giver): boolean {
  if (!of.begin(block)) return false
  of.finish(block, giver)
  return true
}

test("asks each block once, in order, and knows the short last one", () => {
  const some = piece()
  expect([0, 1, 2, 3].map(() => some.askNext())).toEqual([0, 1, 2, 3])
  expect(some.askNext()).toBe(-1)
  expect(some.freeCount).toBe(0)
  expect(some.blockLength(3)).toBe(BLOCK - 10)
})

test("gives a block back when it was asked in vain, or broke off", () => {
  const some = piece()
  for (let count = 0; count < 4; count++) some.askNext()
  some.unask(1)
  some.begin(2)
  some.abort(2)
  expect(some.freeCount).toBe(2)
  expect([some.askNext(), some.askNext(), some.askNext()]).toEqual([1, 2, -1])
})

test("takes a block from one source at a time, and once", () => {
  const some = piece()
  some.askNext()
  expect(some.begin(0)).toBe(true)
  expect(some.begin(0)).toBe(false)
  some.finish(0, A)
  expect(receive(some, 0, B)).toBe(false)
  expect(some.hereCount).toBe(1)
})

test("asks a second source from the end, each block at most twice", () => {
  const some = piece()
  for (let count = 0; count < 4; count++) some.askNext()
  receive(some, 3, A)
  expect(some.isShared).toBe(false)
  expect([some.askAgain(3), some.askAgain(3), some.askAgain(3)]).toEqual([2, 1, 0])
  expect(some.askAgain(3)).toBe(-1)
  expect(some.isShared).toBe(true)
  // The second source leaves: the first still owes the block.
  some.unask(1)
  expect(some.freeCount).toBe(0)
  expect(some.askAgain(3)).toBe(1)
})

test("a block that comes unasked is taken when it is missing", () => {
  const some = piece()
  expect(receive(some, 2, A)).toBe(true)
  expect(some.freeCount).toBe(3)
  expect([some.askNext(), some.askNext(), some.askNext()]).toEqual([0, 1, 3])
})

test("names who gave which part, with its digest", () => {
  const some = piece()
  some.buffer = new Uint8Array(4 * BLOCK).fill(5)
  for (const [block, giver] of [A, B, B, A].entries()) receive(some, block, giver)
  expect(some.isWhole).toBe(true)
  const parts = some.parts(sha256(some.bytes))
  expect(parts.map(({ peer, begin, end }) => [peer, begin, end])).toEqual([
    ["A", 0, BLOCK],
    ["B", BLOCK, 3 * BLOCK],
    ["A", 3 * BLOCK, 4 * BLOCK - 10],
  ])
  expect(parts[1]!.sha256).toEqual(sha256(new Uint8Array(2 * BLOCK).fill(5)))
})

test("from one peer it is one part, whose digest is that of the piece", () => {
  const some = piece(2)
  some.buffer = new Uint8Array(2 * BLOCK)
  for (const block of [0, 1]) receive(some, block, A)
  const whole = sha256(some.bytes)
  expect(some.parts(whole)).toEqual([{ peer: "A", begin: 0, end: 2 * BLOCK - 10, sha256: whole }])
})

test("throws away what one connection gave, and knows the others still", () => {
  const some = piece()
  for (let count = 0; count < 4; count++) some.askNext()
  for (const [block, giver] of [A, B, A].entries()) receive(some, block, giver)
  expect(some.takeBack(A)).toBe(2)
  expect([some.hereCount, some.freeCount]).toEqual([1, 2])
  expect([some.askNext(), some.askNext(), some.askNext()]).toEqual([0, 2, -1])
  for (const block of [0, 2, 3]) receive(some, block, B)
  some.buffer = new Uint8Array(4 * BLOCK)
  expect(some.isOfOne).toBe(true)
  expect(some.parts(sha256(some.bytes)).map(({ peer }) => peer)).toEqual(["B"])
})

test("a peer that came back gave two parts: it may have replaced its bytes in between", () => {
  const some = piece(2)
  some.buffer = new Uint8Array(2 * BLOCK)
  receive(some, 0, A)
  receive(some, 1, { peer: "A" })
  expect(some.isOfOne).toBe(false)
  expect(some.peers).toEqual(["A"])
  expect(some.parts(sha256(some.bytes))).toHaveLength(2)
})
