/** One peer that is fetched from, over a link of which only the words are kept. */
import { expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { STALL_MS_MAX } from "../../../src/core/limits.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { ActivePiece } from "../../../src/swarm/active-piece.ts"
import type { BlockLink } from "../../../src/swarm/block-link.ts"
import { LinkPace } from "../../../src/swarm/link-pace.ts"
import { Source, type SourceOwner } from "../../../src/swarm/source.ts"

const BLOCK = 16_384
const BLOCKS = 4

/** A source that has one piece, and the torrent that puts it together. */
class Scene {
  readonly clock = new VirtualClock()
  readonly asked: number[] = []
  piece = new ActivePiece(0, BLOCKS * BLOCK, 0)
  wastedBytes = 0
  readonly source: Source

  constructor() {
    const nothing = () => {}
    const link: BlockLink = {
      peer: "seed",
      pace: new LinkPace(0),
      request: (_, begin) => this.asked.push(begin / BLOCK),
      cancel: nothing,
      interest: nothing,
      have: nothing,
      resume: nothing,
      discardBlock: nothing,
      close: nothing,
      fail: (fault) => expect.unreachable(fault.message),
    }
    const owner: SourceOwner = {
      clock: this.clock,
      pieceCount: 1,
      pieceBlocks: BLOCKS,
      stallMs: STALL_MS_MAX,
      pieceFor: (source) =>
        source.pieces.has(0) && this.piece.freeCount > 0 ? this.piece : undefined,
      isWanted: () => true,
      active: () => this.piece,
      provideBuffer: (piece) => {
        piece.buffer = new Uint8Array(BLOCKS * BLOCK)
        return true
      },
      onSourceOpened: nothing,
      onSourceHave: () => true,
      onSourceEnded: nothing,
      onBlockHere: (piece, block, source) => piece.finish(block, source),
      onWasted: (bytes) => {
        this.wastedBytes += bytes
      },
      onBatch: nothing,
      onFreed: nothing,
    }
    this.source = new Source(link, owner, undefined)
    const pieces = new Bitfield(1)
    pieces.add(0)
    this.source.onOpened({ pieces, sizeBytes: BLOCKS * BLOCK, isChoked: false })
  }

  give(block: number): void {
    expect(this.source.onBlock(0, block * BLOCK, BLOCK)).toHaveLength(BLOCK)
    this.source.onBlockEnd()
  }
}

test("blocks of a piece that its sender lost are thrown away: what it gives later may be of other bytes", () => {
  const scene = new Scene()
  expect(scene.asked).toEqual([0, 1, 2, 3])
  scene.give(0)
  scene.give(1)
  scene.source.onLost(0)
  for (const block of [2, 3]) scene.source.onRejected(0, block * BLOCK)
  expect(scene.piece.hereCount).toBe(0)
  expect(scene.wastedBytes).toBe(2 * BLOCK)
  expect(scene.asked).toHaveLength(4)
  scene.source.onHave(0)
  expect(scene.asked.slice(4)).toEqual([0, 1, 2, 3])
  for (const block of [0, 1, 2, 3]) scene.give(block)
  expect(scene.piece.isWhole && scene.piece.isOfOne).toBe(true)
})

test("a piece that is whole stays when its sender loses it", () => {
  const scene = new Scene()
  for (const block of [0, 1, 2, 3]) scene.give(block)
  scene.source.onLost(0)
  expect(scene.piece.isWhole).toBe(true)
  expect(scene.wastedBytes).toBe(0)
})
