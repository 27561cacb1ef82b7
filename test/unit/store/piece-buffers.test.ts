import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { PieceBuffers } from "../../../src/store/piece-buffers.ts"

const KIB = 1024

test("gives parts of shared memory that do not overlap, and those given back again", () => {
  const buffers = new PieceBuffers({ clock: new VirtualClock() }, { bytesMax: 1024 * KIB })
  const taken = [256, 512, 256].map((kib) => buffers.tryTake(kib * KIB)!)
  for (const [index, buffer] of taken.entries()) buffer.fill(index + 1)
  for (const [index, buffer] of taken.entries()) {
    expect(buffer.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(buffer.every((byte) => byte === index + 1)).toBe(true)
  }
  expect(buffers.takenBytes).toBe(1024 * KIB)
  expect(buffers.tryTake(256 * KIB)).toBeUndefined()
  buffers.giveBack(taken[1]!)
  expect(buffers.tryTake(512 * KIB)?.byteOffset).toBe(taken[1]!.byteOffset)
})

test("lets go of its memory when no buffer was out for a while", async () => {
  const clock = new VirtualClock()
  const buffers = new PieceBuffers({ clock })
  const [one, two] = [buffers.tryTake(256 * KIB)!, buffers.tryTake(256 * KIB)!]
  buffers.giveBack(one)
  await clock.advance(60_000)
  expect(buffers.isHolding).toBe(true)
  buffers.giveBack(two)
  await clock.advance(1999)
  expect(buffers.isHolding).toBe(true)
  await clock.advance(1)
  expect(buffers.isHolding).toBe(false)
  expect(buffers.tryTake(256 * KIB)?.length).toBe(256 * KIB)
})

test("gives one buffer however small the bound, so that nothing stands still", () => {
  const buffers = new PieceBuffers({ clock: new VirtualClock() }, { bytesMax: KIB })
  expect(buffers.tryTake(4096 * KIB)?.length).toBe(4096 * KIB)
  expect(buffers.tryTake(256 * KIB)).toBeUndefined()
})

test("nobody overtakes who waits, also not for a shorter buffer", async () => {
  const buffers = new PieceBuffers({ clock: new VirtualClock() }, { bytesMax: 1024 * KIB })
  const held = [1, 2].map(() => buffers.tryTake(512 * KIB)!)
  const long = buffers.take(1024 * KIB, undefined)
  buffers.giveBack(held[0]!)
  expect(buffers.tryTake(256 * KIB)).toBeUndefined()
  buffers.giveBack(held[1]!)
  expect((await long).length).toBe(1024 * KIB)
})

test("a taker whose gate is shut waits, and keeps nobody else waiting", async () => {
  const buffers = new PieceBuffers({ clock: new VirtualClock() }, { bytesMax: 1024 * KIB })
  let isOpen = false
  let gated: Uint8Array | undefined
  const waiting = buffers
    .take(256 * KIB, undefined, () => isOpen)
    .then((buffer) => {
      gated = buffer
    })
  expect(buffers.tryTake(256 * KIB, () => isOpen)).toBeUndefined()
  expect(buffers.tryTake(256 * KIB)).toBeDefined()
  expect(await buffers.take(256 * KIB, undefined)).toBeDefined()
  expect(gated).toBeUndefined()
  isOpen = true
  buffers.look()
  await waiting
  expect(gated?.length).toBe(256 * KIB)
})
