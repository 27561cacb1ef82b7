/** Bitfields as BEP 3 sends them. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { Bitfield, isBitfield } from "../../../src/core/bitfield.ts"
import { seededRandom } from "../swarm/seeded-random.ts"

test("puts piece 0 into the highest bit of the first byte", () => {
  const set = new Bitfield(10)
  set.add(0)
  set.add(9)
  expect([...set.bytes]).toEqual([0x80, 0x40])
})

test("behaves as a set of indexes and counts its members", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 99 })), { maxLength: 200 })
  fc.assert(
    fc.property(steps, (changes) => {
      const set = new Bitfield(100)
      const model = new Set<number>()
      for (const [isAdd, index] of changes) {
        expect(isAdd ? set.add(index) : set.delete(index)).toBe(isAdd !== model.has(index))
        if (isAdd) model.add(index)
        else model.delete(index)
      }
      expect(set.count).toBe(model.size)
      expect(new Bitfield(100, set.bytes).count).toBe(model.size)
      for (let index = 0; index < 100; index++) expect(set.has(index)).toBe(model.has(index))
    }),
  )
})

test("finds the next missing piece, or its size when none is", () => {
  const set = new Bitfield(5)
  set.add(0)
  set.add(1)
  expect(set.nextMissing(0)).toBe(2)
  expect(Bitfield.full(5).nextMissing(0)).toBe(5)
  expect(Bitfield.full(5).isFull).toBe(true)
})

test.each([
  ["the right length", 10, [0xff, 0xc0], true],
  ["a spare bit set", 10, [0xff, 0xe0], false],
  ["too short", 10, [0xff], false],
  ["too long", 10, [0xff, 0xc0, 0], false],
  ["no bits at all", 0, [], true],
])("judges a bitfield from outside: %s", (_name, size, bytes, isGood) => {
  expect(isBitfield(size, Uint8Array.from(bytes))).toBe(isGood)
})

test("has no index outside itself", () => {
  expect(Bitfield.full(8).has(8)).toBe(false)
  expect(() => new Bitfield(8).add(8)).toThrow(TypeError)
})

test("finds what one set has beyond another, from any place on", () => {
  const random = seededRandom(3)
  for (const size of [1, 7, 8, 9, 64, 101]) {
    const [some, other] = [new Bitfield(size), new Bitfield(size)]
    for (let index = 0; index < size; index++) {
      if (random() < 0.4) some.add(index)
      if (random() < 0.6) other.add(index)
    }
    for (let from = 0; from <= size; from++) {
      let index = from
      while (index < size && !(some.has(index) && !other.has(index))) index++
      expect(some.nextBeyond(other, from)).toBe(index)
    }
  }
})
