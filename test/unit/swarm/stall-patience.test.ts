/** How long sources may give nothing, on links of any rate. */
import { describe, expect, it } from "vitest"
import { BLOCK_BYTES, STALL_MS_MAX } from "../../../src/core/limits.ts"
import { STALL_MS_SLOW_MAX, StallPatience } from "../../../src/swarm/stall-patience.ts"

const TICK_MS = 200

/** A torrent to which bytes come at a steady rate from sources that owe something all the time. */
class Scene {
  nowMs = 0
  receivedBytes = 0
  readonly patience: StallPatience = new StallPatience(0)

  run(seconds: number, flow: { rateBytes: number; owingCount: number }): number {
    for (let ms = 0; ms < seconds * 1000; ms += TICK_MS) {
      this.nowMs += TICK_MS
      this.receivedBytes += (flow.rateBytes * TICK_MS) / 1000
      const { receivedBytes } = this
      this.patience.tick(this.nowMs, { receivedBytes, owingCount: flow.owingCount })
    }
    return this.patience.stallMs
  }
}

describe("the patience with sources", () => {
  it("is two seconds before anything is known, and on fast links", () => {
    const scene = new Scene()
    expect(scene.patience.stallMs).toBe(STALL_MS_MAX)
    expect(scene.run(10, { rateBytes: 2_500_000, owingCount: 8 })).toBe(STALL_MS_MAX)
  })

  it("stays so while nothing has come at all: that says nothing of links", () => {
    expect(new Scene().run(10, { rateBytes: 0, owingCount: 8 })).toBe(STALL_MS_MAX)
  })

  it("is the time in which 32 blocks come from each, on slow ones", () => {
    const stallMs = new Scene().run(30, { rateBytes: 500_000, owingCount: 4 })
    expect(stallMs).toBeCloseTo((32 * 4 * BLOCK_BYTES) / 500, 0)
  })

  it("is bounded, however slow the link is", () => {
    expect(new Scene().run(30, { rateBytes: 20_000, owingCount: 8 })).toBe(STALL_MS_SLOW_MAX)
    expect(new Scene().run(30, { rateBytes: 5, owingCount: 1 })).toBe(STALL_MS_SLOW_MAX)
  })

  it("falls as the link becomes free", () => {
    const scene = new Scene()
    scene.run(30, { rateBytes: 250_000, owingCount: 8 })
    expect(scene.run(20, { rateBytes: 250_000, owingCount: 1 })).toBeCloseTo(2_097, 0)
    expect(scene.run(20, { rateBytes: 5_000_000, owingCount: 1 })).toBe(STALL_MS_MAX)
  })

  it("is short again once nothing has come from anybody for a while", () => {
    const scene = new Scene()
    scene.run(30, { rateBytes: 250_000, owingCount: 8 })
    expect(scene.run(3, { rateBytes: 0, owingCount: 8 })).toBe(STALL_MS_SLOW_MAX)
    expect(scene.run(3, { rateBytes: 0, owingCount: 8 })).toBe(STALL_MS_MAX)
  })
})
