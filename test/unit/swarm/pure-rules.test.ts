/** The small decisions: request depth, upload slots, the sharing out of pieces. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { chooseUnchoked } from "../../../src/swarm/choke.ts"
import { shareOf } from "../../../src/swarm/fan-out.ts"
import { depthFor, PeerScore } from "../../../src/swarm/peer-score.ts"

describe("request depth", () => {
  test.each([
    ["a source of which nothing is known", 0, undefined, 32],
    ["100 Mbit/s, 40 ms", 12_500_000, 40, 77],
    ["1 Gbit/s, 0.2 ms", 125_000_000, 0.2, 512],
    ["800 MB/s on loopback", 800_000_000, 0.1, 512],
    ["1 Gbit/s, 100 ms", 125_000_000, 100, 1526],
    ["10 Gbit/s, 200 ms", 1_250_000_000, 200, 4096],
  ])("for %s", (_name, rateBytes, roundTripMs, depth) => {
    expect(depthFor(rateBytes, roundTripMs)).toBe(depth)
  })

  test("grows block by block from a small start, then follows the rate", () => {
    const score = new PeerScore(0)
    expect(score.depth).toBe(32)
    for (let block = 0; block < 1000; block++) score.onBlock(16_384)
    expect(score.depth).toBe(512)
    score.measure(250)
    for (const nowMs of [500, 750, 1000, 1250, 1500, 1750, 2000]) {
      score.onBlock(16_384)
      score.measure(nowMs)
    }
    expect(score.depth).toBe(32 + Math.max(0, score.depth - 32))
    expect(score.depth).toBeLessThan(200)
  })

  test("begins anew after a stall, with little", () => {
    const score = new PeerScore(0)
    for (let block = 0; block < 100; block++) score.onBlock(16_384)
    score.onStall()
    expect(score.depth).toBe(8)
    expect(score.rateBytes).toBe(0)
  })

  test("takes the smallest round trip that was seen", () => {
    const score = new PeerScore(0)
    for (const milliseconds of [9, 4, 7]) score.onRoundTrip(milliseconds)
    expect(score.roundTripMs).toBe(4)
  })
})

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
