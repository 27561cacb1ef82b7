/** Reports at the controller: which count, and which change nothing. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Plan } from "../../../src/rollout/plan.ts"
import { encodeReport, type HealthReport } from "../../../src/rollout/report.ts"
import { fileOf, keyOf, NOW } from "../release/world.ts"
import { peerOf, releaseOf, reportOf } from "./rollout-scene.ts"
import { planOf, RolloutWorld } from "./rollout-world.ts"

const MODEL = [releaseOf("model", 2)]
const OTHER = [releaseOf("model", 1)]
const HOUR_MS = 3_600_000

let world: RolloutWorld
let plan: Plan
beforeEach(async () => {
  world = new RolloutWorld()
  world.admit(1, 2, 3)
  // Its nodes are away: what they say is said here.
  await world.start(1)
  plan = planOf([[2], "rest"], { releases: MODEL })
  await world.publish(plan)
})
afterEach(() => world.close())

/** A report of node 2 that is right, but for what is changed; signed by a node. */
async function taken(change: Partial<HealthReport> = {}, signer = 2): Promise<boolean> {
  const known = world.known(1, plan)
  const report = reportOf({ plan: known.named, node: peerOf(2), running: MODEL, ...change })
  const controller = (await world.node(1).controllerOf(known))!
  return controller.takeReport(peerOf(2), await fileOf(encodeReport(report), keyOf(signer)))
}

const refused = expect.objectContaining({ code: "REPORT_INVALID" })

/** Begins, so that the waves are frozen; nobody else answers what was decided. */
async function start(): Promise<void> {
  await world.start(2)
  await world.act(1, plan, { kind: "start" })
  await world.node(2).stop()
}

describe("a report", () => {
  it("of what the plan names counts, and one that runs anything else is no success", async () => {
    await start()
    expect(await taken({ counter: NOW + HOUR_MS })).toBe(true)
    for (const running of [OTHER, [], [...MODEL, ...OTHER]]) {
      await expect(taken({ counter: NOW + 2 * HOUR_MS, running })).rejects.toThrow(refused)
    }
    expect(world.node(1).told).toEqual(["REPORT_INVALID", "REPORT_INVALID", "REPORT_INVALID"])
  })

  it("that is older than another of its node changes nothing", async () => {
    await start()
    expect(await taken({ counter: NOW + HOUR_MS, outcome: "failed" })).toBe(true)
    expect(await taken({ counter: NOW + HOUR_MS - 1 })).toBe(false)
    const [report] = world.node(1).reports.slice(-1)
    expect(report).toMatchObject({ outcome: "failed" })
  })

  it("is judged with those that come at the same time", async () => {
    await start()
    const { membership } = world.node(1)
    let judgedCount = 0
    const clockFault = () => {
      judgedCount++
      return undefined
    }
    Object.assign(membership, { clockFault })
    for (let count = 1; count <= 100; count++) {
      expect(await taken({ counter: NOW + HOUR_MS + count, outcome: "failed" })).toBe(true)
    }
    expect(world.view(1, plan).phase).toBe("running")
    await world.clock.advance(100)
    expect(world.view(1, plan).phase).toBe("paused")
    // The nodes themselves look at their clocks, too.
    expect(judgedCount).toBeLessThan(20)
  })

  it("is signed by its node, of its own wave and of this plan", async () => {
    await start()
    await expect(taken({}, 3)).rejects.toThrow(
      expect.objectContaining({ code: "SIGNATURE_MISSING" }),
    )
    await expect(taken({ wave: 1 })).rejects.toThrow(refused)
    const { named } = world.known(1, plan)
    await expect(taken({ plan: { ...named, version: 2 } })).rejects.toThrow(refused)
  })

  it("waits for no window that the plan has not", async () => {
    await start()
    const waiting = { outcome: "waiting" as const, running: [] }
    await expect(taken({ ...waiting, opensAtMs: NOW + HOUR_MS })).rejects.toThrow(refused)
  })

  it("of a node that the fleet has no more counts for nothing", async () => {
    await start()
    world.members.delete(2)
    await expect(taken()).rejects.toThrow(refused)
  })
})
