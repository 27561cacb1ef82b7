/** Pieces (protocol/metainfo.md): every byte of a blob is in exactly one piece. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { pieceLayout, pieceRange, piecesOf } from "../../../src/core/piece.ts"

const MIB = 1024 * 1024
const sizes = fc.integer({ min: 0, max: 64 * 1024 * MIB })

test.each([
  [0, 256 * 1024, 0],
  [1, 256 * 1024, 1],
  [256 * 1024, 256 * 1024, 1],
  [256 * 1024 + 1, 256 * 1024, 2],
  [256 * MIB, 256 * 1024, 1024],
  [256 * MIB + 1, 512 * 1024, 513],
  [1024 * MIB, 1 * MIB, 1024],
  [8 * 1024 * MIB, 4 * MIB, 2048],
])("cuts %d bytes into pieces of %d bytes: %d of them", (sizeBytes, lengthBytes, count) => {
  expect(pieceLayout(sizeBytes)).toEqual({ sizeBytes, lengthBytes, count })
})

test("gives pieces that follow one another and end where the blob ends", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (sizeBytes, seed) => {
      const layout = pieceLayout(sizeBytes)
      if (layout.count === 0) return
      const index = seed % layout.count
      const range = pieceRange(layout, index)
      expect(range.end).toBeGreaterThan(range.start)
      const next = index + 1 === layout.count ? sizeBytes : pieceRange(layout, index + 1).start
      expect(range.end).toBe(next)
    }),
  )
})

test("finds just the pieces that a range touches", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), (sizeBytes, a, b) => {
      if (sizeBytes === 0) return
      const start = a % sizeBytes
      const end = start + 1 + (b % (sizeBytes - start))
      const layout = pieceLayout(sizeBytes)
      const pieces = piecesOf(layout, { start, end })
      expect(pieceRange(layout, pieces.start).start).toBeLessThanOrEqual(start)
      expect(pieceRange(layout, pieces.start).end).toBeGreaterThan(start)
      expect(pieceRange(layout, pieces.end - 1).start).toBeLessThan(end)
      expect(pieceRange(layout, pieces.end - 1).end).toBeGreaterThanOrEqual(end)
    }),
  )
})

test("touches no piece when the range is empty", () => {
  expect(piecesOf(pieceLayout(10), { start: 3, end: 3 })).toEqual({ start: 0, end: 0 })
})
