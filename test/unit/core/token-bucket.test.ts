/** The token bucket on virtual time. */
import { describe, expect, test } from "vitest"
import { TokenBucket } from "../../../src/core/token-bucket.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"

describe("a token bucket", () => {
  test("gives its rate in the mean, and a debt is paid before anything else passes", async () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(clock, { rateBytes: 1_000, burstBytes: 75 })
    expect(bucket.level).toBe(75)
    bucket.take(575)
    expect(bucket.level).toBe(-500)
    expect(bucket.waitMs).toBe(501)
    await clock.advance(500)
    expect([bucket.level, bucket.waitMs]).toEqual([0, 1])
    await clock.advance(1)
    expect([bucket.level, bucket.waitMs]).toEqual([1, 0])
  })

  test("saves up no more than a short burst, however long it was idle", async () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(clock, { rateBytes: 1_000, burstBytes: 75 })
    await clock.advance(60_000)
    expect(bucket.level).toBe(75)
  })

  test("keeps what is given back, and adds nothing to it until it is used", async () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(clock, { rateBytes: 1_000, burstBytes: 75 })
    bucket.give(100)
    await clock.advance(1_000)
    expect(bucket.level).toBe(175)
    bucket.take(150)
    await clock.advance(10)
    expect(bucket.level).toBe(35)
  })

  test("follows a new rate from the moment at which it is set", async () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(clock, { rateBytes: 1_000, burstBytes: 75 })
    bucket.take(1_075)
    await clock.advance(500)
    bucket.setRate({ rateBytes: 100, burstBytes: 7.5 })
    expect(bucket.level).toBe(-500)
    await clock.advance(5_000)
    expect(bucket.level).toBe(0)
    await clock.advance(5_000)
    expect(bucket.level).toBe(7.5)
  })
})
