/** What plans say to a keeper of the gate: to whom a release may be opened, and when no more. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { KnownRelease } from "../../../src/release/releases.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import { gateOnceRead, PlanGate } from "../../../src/rollout/plan-gate.ts"
import { NOW } from "../release/world.ts"
import { peerOf, releaseOf } from "./rollout-scene.ts"
import { planOf, RolloutWorld } from "./rollout-world.ts"

const MODEL = releaseOf("model", 2)
const RELEASE = { release: { digest: MODEL.digest } } as KnownRelease
const SOAK_MS = 30_000
const LIFE_MS = 300_000

let world: RolloutWorld
let plan: Plan
beforeEach(async () => {
  world = new RolloutWorld()
  world.admit(1, 2, 3)
  await world.startAll()
  const base = planOf([[2], "rest"], { releases: [MODEL] })
  // Waves soak: there is time to look.
  const waves = base.waves.map((wave) => ({ ...wave, soakMs: SOAK_MS }))
  plan = { ...base, waves, expiresAtMs: NOW + LIFE_MS }
  await world.publish(plan)
})
afterEach(() => world.close())

/** What the keeper on node 3 hears of node 2, of the first wave, and of node 3, of the second. */
function isReleased(): readonly (boolean | undefined)[] {
  const gate = new PlanGate(world.node(3))
  return [2, 3].map((number) => gate.isReleased(RELEASE, peerOf(number)))
}

async function untilReleased(waves: number): Promise<void> {
  await world.until(() => world.view(3, plan).releasedAtMs.length === waves)
}

describe("a plan", () => {
  it("says nothing before it is started, and of a release that it does not name", async () => {
    expect(isReleased()).toEqual([undefined, undefined])
    await world.act(1, plan, { kind: "start" })
    await untilReleased(1)
    const other = { release: { digest: releaseOf("model", 9).digest } } as KnownRelease
    expect(new PlanGate(world.node(3)).isReleased(other, peerOf(2))).toBeUndefined()
  })

  it("opens for a node when its wave is released, and not for the next", async () => {
    await world.act(1, plan, { kind: "start" })
    await untilReleased(1)
    expect(isReleased()).toEqual([true, false])
    await untilReleased(2)
    expect(isReleased()).toEqual([true, true])
  })

  it("opens for nobody while it is paused, and once it is aborted", async () => {
    await world.act(1, plan, { kind: "start" })
    await untilReleased(1)
    await world.act(1, plan, { kind: "pause" })
    await world.untilPhase(3, plan, "paused")
    expect(isReleased()).toEqual([false, false])
    await world.act(1, plan, { kind: "abort" })
    await world.untilPhase(3, plan, "aborted")
    expect(isReleased()).toEqual([false, false])
  })

  it("opens for nobody once another has its channel, and none who is in no wave", async () => {
    await world.act(1, plan, { kind: "start" })
    await untilReleased(1)
    world.admit(4)
    expect(new PlanGate(world.node(3)).isReleased(RELEASE, peerOf(4))).toBe(false)
    const next = { ...plan, version: 2, createdAtMs: NOW + 1 }
    await world.publish(next, { dropped: [plan] })
    expect(isReleased()).toEqual([false, false])
  })

  it("whose waves all stood stays open, for who comes late and after its last moment too", async () => {
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(3, plan, "completed")
    world.admit(4)
    await world.clock.advance(LIFE_MS)
    const gate = new PlanGate(world.node(3))
    expect([2, 3, 4].map((number) => gate.isReleased(RELEASE, peerOf(number)))).toEqual([
      ...[true, true, true],
    ])
  })
})

it("opens for nobody on a keeper that has not read its plans yet", () => {
  let gate: PlanGate | undefined
  const isReleased = () => gateOnceRead(() => gate).isReleased(RELEASE, peerOf(2))
  expect(isReleased()).toBe(false)
  gate = new PlanGate(world.node(3))
  // No plan that was started names it: it is the keeper's own rule that counts.
  expect(isReleased()).toBeUndefined()
})
