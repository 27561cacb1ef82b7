/** What a monitor sees of a fleet. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { addFleetMetrics } from "../../../src/fleet/fleet-metrics.ts"
import { DAY_MS, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
beforeEach(() => {
  world = new FleetWorld()
})
afterEach(() => world.close())

const NAMES = ["members", "list_version", "list_stale", "blocked"]

test("a monitor sees who is in, how new the list is, when it has run out, and that a node is stopped", async () => {
  const metrics = new MemoryMetrics()
  const values = () => NAMES.map((name) => metrics.value(`sealift_fleet_${name}`))
  let membership: (typeof node)["fleet"]["membership"]
  const self = { fault: () => fault }
  let fault: ReturnType<Parameters<typeof addFleetMetrics>[1]["self"]["fault"]>
  addFleetMetrics(metrics, { membership: () => membership, self })
  expect(values()).toEqual([0, 0, 0, 0])
  const node = await world.founder()
  membership = node.fleet.membership
  await world.joiner(node, "second")
  expect(values()).toEqual([2, membership!.access()!.list.version, 0, 0])
  fault = { code: "NODE_CLONED", message: "twice" }
  world.clock.movedMs = 400 * DAY_MS
  expect(values().slice(2)).toEqual([1, 1])
})
