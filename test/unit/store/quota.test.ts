import * as fc from "fast-check"
import { expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { type Candidate, leastRecentlyUsed, makeRoom } from "../../../src/store/quota.ts"

const candidates: fc.Arbitrary<Candidate[]> = fc
  .array(fc.record({ sizeBytes: fc.nat(100), lastUsedMs: fc.nat(5) }))
  .map((entries) =>
    entries.map((entry, index) => ({ ...entry, digest: digestOf(new Uint8Array([index])) })),
  )

const sum = (chosen: readonly Candidate[]) =>
  chosen.reduce((total, candidate) => total + candidate.sizeBytes, 0)

test("chooses the least recently used, no more than needed, and nothing empty", () => {
  fc.assert(
    fc.property(candidates, fc.integer({ min: -10, max: 500 }), (all, bytes) => {
      const chosen = leastRecentlyUsed(all, bytes)
      const spared = all.filter((one) => !chosen.includes(one) && one.sizeBytes > 0)
      expect(chosen.every((one) => one.sizeBytes > 0)).toBe(true)
      if (bytes <= 0) expect(chosen).toEqual([])
      else if (spared.length > 0) expect(sum(chosen)).toBeGreaterThanOrEqual(bytes)
      expect(sum(chosen.slice(0, -1))).toBeLessThan(Math.max(1, bytes))
      const newest = Math.max(-1, ...chosen.map((one) => one.lastUsedMs))
      expect(spared.every((one) => one.lastUsedMs >= newest)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test("takes what is to go last only when all others are gone", () => {
  fc.assert(
    fc.property(candidates, fc.nat(500), fc.func(fc.boolean()), (all, bytes, goesLast) => {
      const chosen = leastRecentlyUsed(all, bytes, goesLast)
      const isLastTaken = chosen.some(({ digest }) => goesLast(digest))
      const others = all.filter(({ digest, sizeBytes }) => sizeBytes > 0 && !goesLast(digest))
      if (isLastTaken) for (const other of others) expect(chosen).toContain(other)
      expect(sum(chosen.slice(0, -1))).toBeLessThan(Math.max(1, bytes))
    }),
    { numRuns: 200 },
  )
})

test("makes room or says why it cannot", () => {
  const one = { digest: digestOf(new Uint8Array(0)), sizeBytes: 50, lastUsedMs: 0 }
  const amounts = { usedBytes: 80, quotaBytes: 100 }
  expect(makeRoom([one], { ...amounts, wantedBytes: 20 })).toEqual([])
  expect(makeRoom([one], { ...amounts, wantedBytes: 21 })).toEqual([one])
  expect(() => makeRoom([one], { ...amounts, wantedBytes: 71 })).toThrow(
    expect.objectContaining({ code: "QUOTA_EXCEEDED" }),
  )
})
