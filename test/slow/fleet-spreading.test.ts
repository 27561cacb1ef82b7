/** How fast a new access list is everywhere: nodes of one hub with latency, five steps from the desk. */
import { afterEach, expect, test } from "vitest"
import { eventually, type FleetNode, FleetWorld } from "../unit/fleet/fleet-world.ts"

let world: FleetWorld
afterEach(() => world.close())

const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const versionAt = (node: FleetNode) => node.fleet.membership?.access()?.list.version ?? 0

test("a revocation is at 50 nodes that are 20 ms apart within 3 s", async () => {
  let latencyMs = 0
  world = new FleetWorld({ latencyOf: () => latencyMs })
  const { first, nodes } = await world.chain({ nodes: 50, width: 10 })
  latencyMs = 20
  const startMs = performance.now()
  const { accessVersion } = await first.desk.revoke([OTHER])
  await eventually(() => nodes.every((node) => versionAt(node) === accessVersion), 10_000)
  const tookMs = performance.now() - startMs
  console.info(`50 nodes had the list after ${Math.round(tookMs)} ms`)
  expect(tookMs).toBeLessThan(3_000)
})
