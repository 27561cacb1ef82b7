/** Our extended messages: vectors, round trips, truncation. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { pieceLayout } from "../../../src/core/piece.ts"
import {
  encodeChannelHandshake,
  encodeOpened,
  isChannelHandshake,
  parseNumber,
  parseOpen,
  parseOpened,
} from "../../../src/swarm/wire-extension.ts"
import { base64, vectorsOf } from "./vectors.ts"

function parseVector(kind: string, payload: Uint8Array): unknown {
  if (kind === "open") return parseOpen(payload)
  if (kind === "handshake") return isChannelHandshake(payload) ? {} : undefined
  if (kind === "context") {
    const torrent = parseNumber(payload)
    return torrent === undefined ? undefined : { torrent }
  }
  const opened = parseOpened(payload)
  if (opened === undefined) return undefined
  const pieces = [...Array(opened.pieces.size).keys()].filter((index) => opened.pieces.has(index))
  return { ...opened, pieces }
}

test.each(vectorsOf("wire-extension"))("vector $case: $comment", ({ input, output }) => {
  expect(parseVector(input.kind!, base64(input.payload))).toEqual(output)
})

describe("opened", () => {
  test("passes both ways for any blob and any pieces", () => {
    const pieces = fc.integer({ min: 0, max: 20_000_000 }).chain((sizeBytes) => {
      const { count } = pieceLayout(sizeBytes)
      const indexes = fc.array(fc.nat(Math.max(0, count - 1)), { maxLength: 2 * count })
      return fc.tuple(fc.constant(sizeBytes), count === 0 ? fc.constant([]) : indexes)
    })
    fc.assert(
      fc.property(pieces, fc.boolean(), ([sizeBytes, indexes], isChoked) => {
        const set = new Bitfield(pieceLayout(sizeBytes).count)
        for (const index of indexes) set.add(index)
        const parsed = parseOpened(encodeOpened({ torrent: 7, sizeBytes, isChoked, pieces: set }))
        expect(parsed).toMatchObject({ torrent: 7, sizeBytes, isChoked })
        expect(parsed?.pieces.bytes).toEqual(set.bytes)
      }),
      { numRuns: 50 },
    )
  })

  test("is refused at every truncation", () => {
    const pieces = new Bitfield(10)
    pieces.add(3)
    const opened = { torrent: 2, sizeBytes: 10 * 262_144, isChoked: false, pieces }
    const payload = encodeOpened(opened)
    for (let length = 0; length < payload.length; length++) {
      expect(parseOpened(payload.subarray(0, length))).toBeUndefined()
    }
  })
})

test("the handshake of a newer version is taken, with names that are not known here", () => {
  const text = Buffer.from(encodeChannelHandshake("9.9.9")).toString("latin1")
  const newer = text.replace("10:sl_refusedi3e", "10:sl_refusedi3e6:sl_zzzi99e")
  expect(isChannelHandshake(Buffer.from(newer, "latin1"))).toBe(true)
})
