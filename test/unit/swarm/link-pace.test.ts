/** How many requests a connection keeps in flight, and how a stalled source begins anew. */
import { describe, expect, test } from "vitest"
import { BLOCK_BYTES } from "../../../src/core/limits.ts"
import { depthFor, LinkPace } from "../../../src/swarm/link-pace.ts"
import { PeerScore } from "../../../src/swarm/peer-score.ts"

const PIECE_BLOCKS = 16

interface Link {
  readonly roundTripMs: number
  readonly rateBytes: number
}

interface Fetching {
  readonly rounds: number
  readonly pace?: LinkPace
  readonly sinceMs?: number
}

/** Lets a source answer as a link would; gives the share of the link that each round trip filled. */
function fetchOver(
  link: Link,
  { rounds, pace = new LinkPace(0), sinceMs = 0 }: Fetching,
): number[] {
  const fetcher = {}
  const linkBlocks = Math.floor((link.rateBytes * link.roundTripMs) / 1000 / BLOCK_BYTES)
  return Array.from({ length: rounds }, (_, round) => {
    const nowMs = sinceMs + (round + 1) * link.roundTripMs
    const blocks = Math.min(pace.shareOf(fetcher, PIECE_BLOCKS), linkBlocks)
    pace.onAsked(fetcher, round, 0, nowMs - link.roundTripMs)
    // The request that is measured is answered last, as one is that was asked behind a full queue.
    for (let block = blocks - 1; block >= 0; block--) {
      pace.onBlock(fetcher, round, block * BLOCK_BYTES, BLOCK_BYTES, nowMs)
    }
    return blocks / linkBlocks
  })
}

describe("request depth", () => {
  test.each([
    ["100 Mbit/s, 40 ms", 12_500_000, 40, 62],
    ["1 Gbit/s, 0.2 ms", 125_000_000, 0.2, 78],
    ["800 MB/s on loopback", 800_000_000, 0.1, 494],
    ["1 Gbit/s, 100 ms", 125_000_000, 100, 1526],
    ["10 Gbit/s, 200 ms", 1_250_000_000, 200, 4096],
  ])("for %s", (_name, rateBytes, roundTripMs, depth) => {
    expect(depthFor(rateBytes, roundTripMs)).toBe(depth)
  })

  test.each([
    ["20 Mbit/s, 40 ms", { rateBytes: 2_500_000, roundTripMs: 40 }],
    ["100 Mbit/s, 40 ms", { rateBytes: 12_500_000, roundTripMs: 40 }],
    ["1 Gbit/s, 40 ms", { rateBytes: 125_000_000, roundTripMs: 40 }],
    ["1 Gbit/s, 100 ms", { rateBytes: 125_000_000, roundTripMs: 100 }],
  ])("fills a link of %s within a second, and keeps it full", (_name, link) => {
    const filled = fetchOver(link, { rounds: 100 })
    const from = Math.ceil(1_000 / link.roundTripMs)
    expect(filled.slice(from).filter((share) => share < 1)).toEqual([])
  })

  test("falls when the link becomes slower", () => {
    const pace = new LinkPace(0)
    fetchOver({ rateBytes: 125_000_000, roundTripMs: 40 }, { rounds: 50, pace })
    expect(pace.depth).toBeGreaterThan(600)
    fetchOver({ rateBytes: 2_500_000, roundTripMs: 40 }, { rounds: 50, pace, sinceMs: 2_000 })
    expect(pace.depth).toBeLessThan(40)
  })

  test("is shared evenly by the torrents of a connection, but for a piece each", () => {
    const pace = new LinkPace(0)
    const [one, other] = [{}, {}]
    expect(pace.shareOf(one, PIECE_BLOCKS)).toBe(32)
    pace.onAsked(one, 0, 0, 0)
    expect(pace.shareOf(one, PIECE_BLOCKS)).toBe(32)
    expect(pace.shareOf(other, PIECE_BLOCKS)).toBe(16)
    expect(pace.shareOf(other, 64)).toBe(64)
    pace.onDone(one)
    expect(pace.shareOf(other, PIECE_BLOCKS)).toBe(32)
  })

  test("takes the smallest round trip that was seen", () => {
    const pace = new LinkPace(0)
    const fetcher = {}
    let nowMs = 0
    for (const milliseconds of [9, 4, 7]) {
      pace.onAsked(fetcher, 0, 0, nowMs)
      nowMs += milliseconds
      pace.onBlock(fetcher, 0, 0, BLOCK_BYTES, nowMs)
    }
    expect(pace.roundTripMs).toBe(4)
  })

  test("of a request whose asker is gone nothing is measured", () => {
    const pace = new LinkPace(0)
    const [gone, fetcher] = [{}, {}]
    pace.onAsked(gone, 0, 0, 0)
    pace.onDone(gone)
    pace.onAsked(fetcher, 0, 0, 100)
    pace.onBlock(fetcher, 0, 0, BLOCK_BYTES, 103)
    expect(pace.roundTripMs).toBe(3)
  })

  test("is measured anew when a request is never answered", () => {
    const pace = new LinkPace(0)
    const fetcher = {}
    pace.onAsked(fetcher, 0, 0, 0)
    pace.onAsked(fetcher, 1, 0, 3_001)
    pace.onBlock(fetcher, 1, 0, BLOCK_BYTES, 3_009)
    expect(pace.roundTripMs).toBe(8)
  })
})

describe("the score of a source", () => {
  test("after a stall lets it have few requests, and one more with each block", () => {
    const score = new PeerScore(0)
    expect(score.depthMax).toBe(Number.POSITIVE_INFINITY)
    score.onStall()
    expect(score.depthMax).toBe(8)
    expect(score.rateBytes).toBe(0)
    score.onBlock(BLOCK_BYTES)
    expect(score.depthMax).toBe(9)
  })
})
