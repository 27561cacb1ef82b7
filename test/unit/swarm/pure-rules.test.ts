/** The small decisions: upload slots, the sharing out of pieces. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { chooseUnchoked } from "../../../src/swarm/choke.ts"
import { shareOf } from "../../../src/swarm/fan-out.ts"

describe("upload slots", () => {
  const one = (isChoked: boolean, sinceMs: number, takenBytes = 1) => ({
    isChoked,
    sinceMs,
    takenBytes,
  })

  test("are for all when there are enough", () => {
    const all = [one(true, 0), one(false, 0)]
    expect(chooseUnchoked(all, { slots: 2, nowMs: 1 })).toEqual(new Set(all))
  })

  test("stay with who is served, until the turn is over", () => {
    const [served, waiting] = [one(false, 1_000), one(true, 0)]
    const at = (nowMs: number) => chooseUnchoked([served, waiting], { slots: 1, nowMs })
    expect(at(10_999)).toEqual(new Set([served]))
    expect(at(11_000)).toEqual(new Set([waiting]))
  })

  test("leave at once who takes nothing", () => {
    const [idle, waiting] = [one(false, 900, 0), one(true, 950)]
    const chosen = chooseUnchoked([idle, waiting], { slots: 1, nowMs: 1_000 })
    expect(chosen).toEqual(new Set([waiting]))
  })

  test("go to who waits longest", () => {
    const waiting = [one(true, 30), one(true, 10), one(true, 20)]
    const chosen = chooseUnchoked(waiting, { slots: 2, nowMs: 40 })
    expect(chosen).toEqual(new Set([waiting[1], waiting[2]]))
  })
})

describe("the sharing out of pieces", () => {
  const peers = ["A", "B", "C", "D", "E"]
  const digest = digestOf(Buffer.from("a blob"))
  const shares = peers.map(
    (self) =>
      shareOf(
        self,
        peers.filter((peer) => peer !== self),
        digest,
      )!,
  )

  test("gives each piece to exactly one of those who know each other", () => {
    for (let index = 0; index < 1000; index++) {
      expect(shares.filter((isOurs) => isOurs(index))).toHaveLength(1)
    }
  })

  test("is about even, and another for each blob", () => {
    const countOf = (isOurs: (index: number) => boolean) =>
      [...Array(1000).keys()].filter(isOurs).length
    for (const isOurs of shares) {
      expect(countOf(isOurs)).toBeGreaterThan(130)
      expect(countOf(isOurs)).toBeLessThan(270)
    }
    const other = shareOf("A", ["B", "C", "D", "E"], digestOf(Buffer.from("another")))!
    const same = [...Array(1000).keys()].filter((index) => other(index) === shares[0]!(index))
    expect(same.length).toBeLessThan(900)
  })

  test("is not there for a lone fetcher", () => {
    expect(shareOf("A", [], digest)).toBeUndefined()
  })
})
