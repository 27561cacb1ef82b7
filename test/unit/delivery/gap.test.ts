/** Which pieces an origin is asked for next. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { pieceLayout } from "../../../src/core/piece.ts"
import { type GapView, nextRun } from "../../../src/delivery/gap.ts"
import { PIECE } from "./world.ts"

const SEGMENT_PIECES = 4

function viewOf(pieces: string, mine: readonly number[]): GapView {
  return {
    layout: pieceLayout(pieces.length * PIECE),
    segmentBytes: SEGMENT_PIECES * PIECE,
    mine: new Set(mine),
    has: (index) => pieces[index] === "#",
    isCovered: (index) => pieces[index] === "~",
  }
}

describe("the next run", () => {
  // "." is missing, "#" is here, "~" is under way; four pieces are a segment.
  test.each([
    ["begins at the reader", "........", [0, 1], 3, [3, 8]],
    ["skips what is here", "###.....", [0, 1], 0, [3, 8]],
    ["reads over one piece", "..#.....", [0, 1], 0, [0, 8]],
    ["ends before two pieces that are here", "..##....", [0, 1], 0, [0, 2]],
    ["ends where the segment is another's", "........", [0], 0, [0, 4]],
    ["begins in a segment of its own", "........", [1], 0, [4, 8]],
    ["turns back for what is before the reader", "..######", [0, 1], 4, [0, 2]],
    ["turns back within the reader's segment", "..##", [0], 2, [0, 2]],
    ["leaves alone what is under way", "~~~.....", [0, 1], 0, [3, 8]],
    ["ends where another stream begins", "....~~~~", [0, 1], 0, [0, 4]],
    ["does not end with what is here", "..#", [0], 0, [0, 2]],
  ] as const)("%s", (_, pieces, mine, reader, [start, end]) => {
    expect(nextRun(viewOf(pieces, mine), reader)).toEqual({ start, end })
  })

  test("is none when nothing is missing, or nothing is this node's", () => {
    expect(nextRun(viewOf("####~~~~", [0, 1]), 0)).toBeUndefined()
    expect(nextRun(viewOf("....####", [1]), 0)).toBeUndefined()
  })

  test("brings every missing piece of the node's segments, and no covered one twice", () => {
    const blob = fc.array(fc.constantFrom(".", "#", "~"), { minLength: 1, maxLength: 24 })
    const mine = fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: 6 })
    fc.assert(
      fc.property(blob, mine, fc.nat({ max: 23 }), (cells, segments, at) => {
        const count = Math.ceil(cells.length / SEGMENT_PIECES)
        const own = segments.filter((segment) => segment < count)
        const isOwn = (index: number) => own.includes(Math.floor(index / SEGMENT_PIECES))
        const state = [...cells]
        for (let runs = 0; ; runs++) {
          expect(runs).toBeLessThanOrEqual(cells.length)
          const run = nextRun(viewOf(state.join(""), own), Math.min(at, cells.length - 1))
          if (run === undefined) break
          expect(state[run.start]).toBe(".")
          for (let index = run.start; index < run.end; index++) {
            expect(isOwn(index) && state[index] !== "~").toBe(true)
            state[index] = "#"
          }
        }
        for (const [index, cell] of state.entries()) if (isOwn(index)) expect(cell).not.toBe(".")
      }),
      { numRuns: 200 },
    )
  })
})
