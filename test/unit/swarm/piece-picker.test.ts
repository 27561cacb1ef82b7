/** The picker's rules one by one, then as properties over random histories. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { PiecePicker } from "../../../src/swarm/piece-picker.ts"
import { seededRandom } from "./seeded-random.ts"

const picker = (count: number, have: readonly number[] = []) =>
  new PiecePicker(setOf(count, have), { random: seededRandom(1) })

function setOf(count: number, indexes: readonly number[]): Bitfield {
  const set = new Bitfield(count)
  for (const index of indexes) set.add(index)
  return set
}

function takeAll(of: PiecePicker, pieces: Bitfield): number[] {
  const taken: number[] = []
  for (let index = of.take(pieces); index !== undefined; index = of.take(pieces)) taken.push(index)
  return taken
}

describe("take", () => {
  test("gives each missing piece that the source has exactly once", () => {
    const some = picker(10, [0, 1])
    expect(takeAll(some, setOf(10, [1, 2, 5, 9])).sort()).toEqual([2, 5, 9])
  })

  test("gives the reader's window first, in order", () => {
    const all = picker(20)
    all.setWindow({ start: 7, end: 10 })
    expect(takeAll(all, Bitfield.full(20)).slice(0, 3)).toEqual([7, 8, 9])
  })

  test("gives the rarest of the window, not the first, where others fetch too", () => {
    const all = picker(20)
    all.setWindow({ start: 7, end: 11 })
    for (const index of [7, 8, 10]) all.addHave(index)
    for (const index of [7, 8]) all.addHave(index)
    const options = { isShared: true }
    const full = Bitfield.full(20)
    expect([all.take(full, options), all.take(full, options)]).toEqual([9, 10])
    const rest = [all.take(full, options), all.take(full, options)]
    expect(rest.sort()).toEqual([7, 8])
  })

  test("gives nodes that begin together different pieces of the same window", () => {
    const firsts = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      const fresh = new PiecePicker(new Bitfield(50), { random: seededRandom(seed) })
      fresh.setWindow({ start: 10, end: 18 })
      firsts.add(fresh.take(Bitfield.full(50), { isShared: true })!)
    }
    expect(firsts.size).toBeGreaterThan(4)
    for (const index of firsts) expect(index >= 10 && index < 18).toBe(true)
  })

  test("begins a blob at a random piece, whatever is rare", () => {
    const firsts = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      const fresh = new PiecePicker(new Bitfield(50), { random: seededRandom(seed) })
      fresh.addSource(Bitfield.full(50))
      fresh.addSource(Bitfield.full(50))
      firsts.add(fresh.take(Bitfield.full(50))!)
    }
    expect(firsts.size).toBeGreaterThan(10)
  })

  test("then gives the rarest piece", () => {
    const some = picker(8, [0])
    some.addSource(Bitfield.full(8))
    some.addSource(setOf(8, [1, 2, 3, 4, 6, 7]))
    expect(some.take(Bitfield.full(8))).toBe(5)
  })

  test("gives a certain piece unless it is there, on its way or reserved", () => {
    const some = picker(4, [0])
    some.reserve({ start: 1, end: 2 })
    expect([0, 1, 2, 2].map((index) => some.takeThis(index))).toEqual([false, false, true, false])
    some.giveBack(2)
    expect(some.takeThis(2)).toBe(true)
  })

  test("gives a lone fetcher any piece first, then the lowest", () => {
    const some = picker(20)
    some.addSource(Bitfield.full(20))
    const next = () => some.take(Bitfield.full(20), { isInOrder: true })!
    const first = next()
    expect(first).not.toBe(0)
    expect([next(), next(), next()]).toEqual([0, 1, 2])
    some.giveBack(1)
    const release = some.reserve({ start: 3, end: 5 })
    expect([next(), next()]).toEqual([1, first === 5 ? 6 : 5])
    release()
    expect(next()).toBe(3)
  })

  test("leaves reserved pieces alone, in the window too, until they are released", () => {
    const some = picker(4)
    some.setWindow({ start: 0, end: 2 })
    const release = some.reserve({ start: 0, end: 3 })
    expect(takeAll(some, Bitfield.full(4))).toEqual([3])
    release()
    release()
    expect(takeAll(some, Bitfield.full(4))).toEqual([0, 1, 2])
  })

  test("gives reserved pieces when asked to", () => {
    const some = picker(2)
    some.reserve({ start: 0, end: 2 })
    expect(some.take(Bitfield.full(2), { withReserved: true })).toBeDefined()
  })

  test("counts overlapping reservations", () => {
    const some = picker(1)
    const release = some.reserve({ start: 0, end: 1 })
    some.reserve({ start: 0, end: 1 })
    release()
    expect(some.take(Bitfield.full(1))).toBeUndefined()
  })
})

describe("the state of a piece", () => {
  test("comes back after giveBack and stays away after complete", () => {
    const some = picker(3)
    const first = some.take(Bitfield.full(3))!
    some.giveBack(first)
    expect(some.candidateCount).toBe(3)
    some.complete(first)
    some.giveBack(first)
    expect(some.candidateCount).toBe(2)
    expect(some.missingCount).toBe(2)
  })

  test("is missing again after lose", () => {
    const some = picker(3, [0, 1, 2])
    expect(some.isUseful(Bitfield.full(3))).toBe(false)
    some.lose(1)
    expect(some.isUseful(setOf(3, [1]))).toBe(true)
    expect(some.isUseful(setOf(3, [0, 2]))).toBe(false)
    expect(takeAll(some, Bitfield.full(3))).toEqual([1])
  })

  test("keeps its counts right over any history", () => {
    const step = fc.tuple(fc.nat(3), fc.nat(15))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer(), (steps, seed) => {
        const some = new PiecePicker(new Bitfield(16), { random: seededRandom(seed) })
        const [have, taken] = [new Set<number>(), new Set<number>()]
        for (const [kind, index] of steps) {
          if (kind === 0) {
            const got = some.take(setOf(16, [index]))
            const isFree = !have.has(index) && !taken.has(index)
            expect(got).toBe(isFree ? index : undefined)
            if (isFree) taken.add(index)
          } else if (kind === 1) {
            some.complete(index)
            have.add(index)
            taken.delete(index)
          } else if (kind === 2) {
            some.lose(index)
            have.delete(index)
          } else if (taken.delete(index)) some.giveBack(index)
          expect(some.missingCount).toBe(16 - have.size)
          expect(some.candidateCount).toBe(16 - have.size - taken.size)
        }
      }),
      { numRuns: 100 },
    )
  })
})

test("a source that leaves takes its availability with it", () => {
  const some = picker(4)
  const pieces = setOf(4, [1, 3])
  some.addSource(pieces)
  some.addHave(0)
  expect([0, 1, 2, 3].map((index) => some.availability(index))).toEqual([1, 1, 0, 1])
  some.removeSource(pieces)
  some.removeHave(0)
  expect([0, 1, 2, 3].map((index) => some.availability(index))).toEqual([0, 0, 0, 0])
})
