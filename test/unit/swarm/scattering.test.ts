/** Whom a node tells of a piece that it alone has. */
import { describe, expect, test } from "vitest"
import { ALONE_MS_MAX, Scattering } from "../../../src/swarm/scattering.ts"
import type { Upload } from "../../../src/swarm/upload.ts"

/** Only told apart, never used. */
const upload = (name: string) => ({ peer: name }) as unknown as Upload
const [a, b, c] = [upload("a"), upload("b"), upload("c")]
const all = [a, b, c]

function toldOf(scattering: Scattering, index: number): Upload[] {
  return all.filter((one) => scattering.mayTell(index, one))
}

describe("a piece that nobody else has", () => {
  test("is told to one peer each, and all get their share", () => {
    const scattering = new Scattering()
    for (let index = 0; index < 6; index++) scattering.give(index, all, 0)
    const told = Array.from({ length: 6 }, (_, index) => toldOf(scattering, index))
    for (const uploads of told) expect(uploads).toHaveLength(1)
    for (const one of all) expect(told.filter(([first]) => first === one)).toHaveLength(2)
  })

  test("goes to the peer that has the fewest under way", () => {
    const scattering = new Scattering()
    for (let index = 0; index < 3; index++) scattering.give(index, all, 0)
    const [second] = toldOf(scattering, 1)
    scattering.release(1)
    scattering.give(9, all, 0)
    expect(toldOf(scattering, 9)).toEqual([second])
  })

  test("is told to everybody once that peer has it", () => {
    const scattering = new Scattering()
    scattering.give(4, all, 0)
    expect(scattering.release(4)).toBe(true)
    expect(toldOf(scattering, 4)).toEqual(all)
    expect(scattering.release(4)).toBe(false)
  })

  test("is told to everybody when that peer leaves, or takes too long", () => {
    const scattering = new Scattering()
    scattering.give(0, all, 0)
    scattering.give(1, all, 1)
    expect(scattering.leave(toldOf(scattering, 0)[0]!)).toEqual([0])
    expect(scattering.overdue(ALONE_MS_MAX)).toEqual([])
    expect(scattering.overdue(ALONE_MS_MAX + 1)).toEqual([1])
    expect(toldOf(scattering, 1)).toEqual(all)
  })

  test("is told to the only peer there is without further ado", () => {
    const scattering = new Scattering()
    scattering.give(0, [a], 0)
    expect(scattering.release(0)).toBe(false)
    expect(toldOf(scattering, 0)).toEqual(all)
  })
})
