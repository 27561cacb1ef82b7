/** Pieces that were left half done, and who may go on with them. */
import { expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { BLOCK_BYTES, PIECE_BYTES_MIN } from "../../../src/core/limits.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryStore } from "../../../src/store/memory-store.ts"
import { Assembly } from "../../../src/swarm/assembly.ts"
import { PiecePicker } from "../../../src/swarm/piece-picker.ts"
import { SourceRoster } from "../../../src/swarm/source-roster.ts"

const BLOCKS = PIECE_BYTES_MIN / BLOCK_BYTES

/** A piece of which all blocks were asked for. */
async function askedPiece() {
  const clock = new VirtualClock()
  const store = createMemoryStore({ clock })
  const blob = await store.openPartial(digestOf(Buffer.from("some")), 2 * PIECE_BYTES_MIN)
  const picker = new PiecePicker(blob.pieces, { random: () => 0 })
  const roster = new SourceRoster({ clock, picker })
  const wasted: number[] = []
  const onWasted = (bytes: number) => void wasted.push(bytes)
  const assembly = new Assembly({ blob, clock, picker, roster, onWasted })
  const everything = Bitfield.full(2)
  const piece = assembly.begin(picker.take(everything)!)
  for (let block = 0; block < BLOCKS; block++) piece.askNext()
  return { assembly, picker, piece, everything, wasted }
}

test("a piece is not taken over while only some of its requests were rejected and nothing came", async () => {
  const { assembly, picker, piece, everything, wasted } = await askedPiece()
  // The rejects come in two bunches, because half of the requests crossed a choke.
  for (let block = 0; block < BLOCKS / 2; block++) piece.unask(block)
  assembly.onFreed(piece)
  expect(assembly.adopt(everything)).toBeUndefined()
  for (let block = BLOCKS / 2; block < BLOCKS; block++) piece.unask(block)
  assembly.onFreed(piece)
  // It begins anew, from whomever the picker chooses.
  expect(assembly.get(piece.index)).toBeUndefined()
  expect(picker.candidateCount).toBe(2)
  expect(wasted).toEqual([])
})

test("a piece of which something came is gone on with by another source", async () => {
  const { assembly, piece, everything } = await askedPiece()
  piece.begin(0)
  piece.finish(0, { peer: "A" })
  for (let block = 1; block < BLOCKS; block++) piece.unask(block)
  assembly.onFreed(piece)
  expect(assembly.adopt(new Bitfield(2))).toBeUndefined()
  expect(assembly.adopt(everything)).toBe(piece)
  expect(assembly.adopt(everything)).toBeUndefined()
})
