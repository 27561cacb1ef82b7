/** Which pieces of a fresh blob a node brings into the swarm. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { shareOf } from "../../../src/swarm/fan-out.ts"

describe("the sharing out of pieces", () => {
  const peers = ["A", "B", "C", "D", "E"]
  const COUNT = 1000
  const digest = digestOf(Buffer.from("a blob"))
  const sharesAmong = (members: readonly string[], count = COUNT) =>
    members.map((self) => {
      const others = members.filter((peer) => peer !== self)
      return shareOf(self, others, { digest, count })!
    })
  const countOf = (isOurs: (index: number) => boolean, count = COUNT) =>
    [...Array(count).keys()].filter(isOurs).length
  const shares = sharesAmong(peers)

  test("gives each piece to exactly one of those who know each other", () => {
    for (let index = 0; index < 1000; index++) {
      expect(shares.filter((isOurs) => isOurs(index))).toHaveLength(1)
    }
  })

  test("is even, and another for each blob", () => {
    for (const isOurs of shares) expect(countOf(isOurs)).toBe(COUNT / peers.length)
    const [another] = sharesAmong(peers).map((_, place) => {
      const others = peers.filter((_peer, other) => other !== place)
      const blob = { digest: digestOf(Buffer.from("another")), count: COUNT }
      return shareOf(peers[place]!, others, blob)!
    })
    const same = [...Array(COUNT).keys()].filter((index) => another!(index) === shares[0]!(index))
    expect(same.length).toBeLessThan(900)
  })

  test("changes little when one more comes", () => {
    const more = sharesAmong([...peers, "F"])
    const kept = [...Array(COUNT).keys()].filter((index) => {
      return peers.some((_, place) => shares[place]!(index) && more[place]!(index))
    })
    // A sixth of the pieces goes to the newcomer; some more move to keep the shares even.
    expect(kept.length).toBeGreaterThan(COUNT * 0.7)
  })

  test("of very many pieces is even enough by chance", () => {
    const count = 5000
    for (const isOurs of sharesAmong(peers, count)) {
      expect(countOf(isOurs, count)).toBeGreaterThan(900)
      expect(countOf(isOurs, count)).toBeLessThan(1100)
    }
  })

  test("is not there for a lone fetcher", () => {
    expect(shareOf("A", [], { digest, count: COUNT })).toBeUndefined()
  })
})
