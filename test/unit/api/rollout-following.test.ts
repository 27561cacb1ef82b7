/** Following a rollout: what changes is told, also what changes while it was too early to tell. */
import { expect, it } from "vitest"
import { followed } from "../../../src/api/rollout-routes.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { RolloutReport } from "../../../src/rollout/rollout.ts"

it("tells of a change at once, or a quarter of a second after the one before", async () => {
  const clock = new VirtualClock()
  let count = 0
  let change = () => {}
  const rollouts = {
    status: () => ({ attempt: count }) as RolloutReport,
    onChange: (listener: () => void) => {
      change = listener
      return () => {}
    },
  }
  const told: [number, number][] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const { attempt } of followed(rollouts, "x", { clock, signal: stop.signal })) {
      told.push([clock.now(), attempt])
    }
  })()
  await clock.advance(100)
  count = 1
  change()
  await clock.advance(600)
  count = 2
  change()
  await clock.advance(1)
  expect(told).toEqual([
    [0, 0],
    [250, 1],
    [700, 2],
  ])
  stop.abort(new Error("enough"))
  await expect(following).rejects.toThrow("enough")
})
