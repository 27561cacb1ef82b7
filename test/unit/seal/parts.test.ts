/** Shamir's parts: any t give the share back, and fewer do not. The vectors pin the bytes. */
import { randomBytes } from "node:crypto"
import fc from "fast-check"
import { expect, test } from "vitest"
import { combineParts, faultOfParts, placeOf, splitShare } from "../../../src/seal/parts.ts"
import { isSame } from "../../../src/seal/release-key.ts"
import { flip, subsetsOf } from "./world.ts"

const SHARE = new Uint8Array(randomBytes(32))

const shapes = fc
  .tuple(fc.integer({ min: 2, max: 6 }), fc.nat({ max: 4 }))
  .map(([count, more]) => ({ count, threshold: Math.min(2 + more, count) }))

test("exactly those sets of parts that are as many as the threshold give the share", async () => {
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const parts = await splitShare(SHARE, shape)
      for (const subset of subsetsOf(parts)) {
        if (subset.length < 2) continue
        const share = await combineParts([...subset].reverse())
        expect(isSame(share, SHARE)).toBe(subset.length >= shape.threshold)
      }
    }),
    { numRuns: 20 },
  )
})

test("one wrong byte in one part gives another share", async () => {
  const [first, second] = await splitShare(SHARE, { threshold: 2, count: 2 })
  for (let at = 0; at < 32; at++) {
    const share = await combineParts([first!, flip(second!, at)])
    expect(isSame(share, SHARE)).toBe(false)
  }
})

test("a part that is made up does not stand in for a missing one", async () => {
  const parts = await splitShare(SHARE, { threshold: 3, count: 3 })
  const [first, second, third] = parts
  const invented = new Uint8Array([...randomBytes(32), placeOf(third!)])
  expect(isSame(await combineParts([first!, second!, invented]), SHARE)).toBe(false)
})

test("two splits of one share have nothing in common", async () => {
  const split = () => splitShare(SHARE, { threshold: 2, count: 16 })
  const values = [...(await split()), ...(await split())].map((part) =>
    Buffer.from(part.subarray(0, 32)).toString("hex"),
  )
  expect(new Set(values).size).toBe(32)
})

test("places are distinct and never 0", async () => {
  for (let round = 0; round < 20; round++) {
    const parts = await splitShare(SHARE, { threshold: 2, count: 16 })
    expect(faultOfParts(parts)).toBeUndefined()
  }
})
