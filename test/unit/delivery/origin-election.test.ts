/** The vectors of protocol/origin-election.md, and what random bytes do to its parsers. */
import { readdirSync, readFileSync } from "node:fs"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { pieceLayout } from "../../../src/core/piece.ts"
import {
  electionScore,
  rankFetchers,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  segmentCount,
  segmentLength,
  segmentOf,
  segmentPieces,
} from "../../../src/delivery/election.ts"
import {
  encodeFetchAnswer,
  encodeFetchRequest,
  parseFetchAnswer,
  parseFetchRequest,
} from "../../../src/delivery/fetch-message.ts"

const FOLDER = "protocol/origin-election/vectors"

interface OrderVector {
  readonly input: { digest: Digest; segment: number; peers: string[] }
  readonly output: { scores: { peer: string; score: string }[]; order: string[] }
}

interface MessageVector {
  readonly input: { message: string }
  readonly expect: string
  readonly output?: unknown
}

function vectors<V>(prefix: string): [string, V][] {
  return readdirSync(FOLDER)
    .filter((name) => name.startsWith(prefix))
    .map((name) => [name, JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf8")) as V])
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return "ok"
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

/** Only what is said: a field that is undefined is not there. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

describe("the order of fetchers", () => {
  test.each(vectors<OrderVector>("order"))("%s", (_, { input, output }) => {
    const { digest, segment, peers } = input
    for (const { peer, score } of output.scores) {
      expect(Buffer.from(electionScore(digest, segment, peer)).toString("hex")).toBe(score)
    }
    expect(rankFetchers(digest, segment, peers)).toEqual(output.order)
    expect(rankFetchers(digest, segment, [...peers].reverse())).toEqual(output.order)
  })

  test("moves nobody but those below a node that comes", () => {
    const digest = digestOf(Buffer.from("moves"))
    const peers = Array.from({ length: 12 }, (_, index) => `peer-${index}`)
    for (let segment = 0; segment < 8; segment++) {
      const before = rankFetchers(digest, segment, peers)
      const after = rankFetchers(digest, segment, [...peers, "newcomer"])
      expect(after.filter((peer) => peer !== "newcomer")).toEqual(before)
    }
  })

  test("spreads segments over nodes", () => {
    const digest = digestOf(Buffer.from("spreads"))
    const peers = Array.from({ length: 8 }, (_, index) => `peer-${index}`)
    const firsts = Array.from(
      { length: 400 },
      (_, segment) => rankFetchers(digest, segment, peers)[0]!,
    )
    for (const peer of peers) {
      const count = firsts.filter((first) => first === peer).length
      expect(count).toBeGreaterThan(20)
      expect(count).toBeLessThan(90)
    }
  })
})

describe("segments", () => {
  test("cover all pieces once, whatever the size", () => {
    const sizes = fc.oneof(
      fc.nat({ max: 2 ** 31 - 1 }),
      fc.constantFrom(0, 1, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, 2 ** 40),
    )
    fc.assert(
      fc.property(sizes, (sizeBytes) => {
        const layout = pieceLayout(sizeBytes)
        expect(segmentLength(sizeBytes) % layout.lengthBytes).toBe(0)
        let next = 0
        for (let segment = 0; segment < segmentCount(sizeBytes); segment++) {
          const { start, end } = segmentPieces(layout, segment)
          if (sizeBytes > 0) expect(start).toBe(next)
          if (end > start) expect(segmentOf(layout, end - 1)).toBe(segment)
          next = end
        }
        expect(next).toBe(layout.count)
      }),
      { numRuns: 100 },
    )
  })
})

describe("a request to fetch", () => {
  test.each(vectors<MessageVector>("request"))("%s", (_, vector) => {
    const bytes = Buffer.from(vector.input.message, "base64")
    expect(codeOf(() => parseFetchRequest(bytes))).toBe(vector.expect)
    if (vector.output === undefined) return
    const request = parseFetchRequest(bytes)
    expect(plain(request)).toEqual(vector.output)
    expect(parseFetchRequest(encodeFetchRequest(request))).toEqual(request)
  })

  test("over 4 KiB is not read", () => {
    expect(codeOf(() => parseFetchRequest(Buffer.alloc(4_097, "{")))).toBe("JSON_INVALID")
  })
})

describe("an answer to it", () => {
  test.each(vectors<MessageVector>("answer"))("%s", (_, vector) => {
    const bytes = Buffer.from(vector.input.message, "base64")
    expect(codeOf(() => parseFetchAnswer(bytes))).toBe(vector.expect)
    if (vector.output === undefined) return
    const answer = parseFetchAnswer(bytes)
    expect(plain(answer)).toEqual(vector.output)
    expect(parseFetchAnswer(encodeFetchAnswer(answer))).toEqual(answer)
  })
})

test("messages that are cut or have a bit flipped fail by code or are read as something else", () => {
  const good = vectors<MessageVector>("").filter(([name]) => /^(request|answer)/.test(name))
  const allowed = ["ok", "JSON_INVALID", "FETCH_MESSAGE_INVALID"]
  for (const [, { input }] of good) {
    const bytes = Buffer.from(input.message, "base64")
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << (at % 8)
      for (const changed of [bytes.subarray(0, at), flipped]) {
        expect(allowed).toContain(codeOf(() => parseFetchRequest(changed)))
        expect(allowed).toContain(codeOf(() => parseFetchAnswer(changed)))
      }
    }
  }
})
