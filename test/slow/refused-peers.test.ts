/** How often a node that a fleet admits no more tries to come back, by real libp2p on loopback. */
import { afterAll, expect, test } from "vitest"
import { libp2pWorld } from "../contract/libp2p-world.ts"
import { until, withSignal } from "../contract/peer-network.ts"
import { TestAdmission } from "../support/test-fleet.ts"

/** libp2p marks those that it wants to keep every five seconds. */
const MARKED_MS = 7_000
const WATCHED_MS = 4_000
/** Attempts after 0, 1 and 3 seconds, some asked about twice; without pauses it were 156. */
const ATTEMPTS_MAX = 16

const world = await libp2pWorld("/ip4/127.0.0.1/tcp/0", true)
afterAll(() => world.close())

test("a node that is admitted no more comes back with pauses that grow", async () => {
  const admission = new TestAdmission()
  const [node, member] = [await world.join({ admission }), await world.join()]
  admission.members.add(member.id)
  await member.dial(world.targetOf(node), withSignal())
  await until(() => node.peers().length === 1)
  await new Promise((resolve) => setTimeout(resolve, MARKED_MS))
  let attempts = 0
  admission.onAsked = (peer) => {
    if (peer === member.id) attempts++
  }
  admission.members.delete(member.id)
  await node.recheck()
  attempts = 0
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
  console.info(`${attempts} attempts in ${WATCHED_MS} ms`)
  expect(attempts).toBeGreaterThan(0)
  expect(attempts).toBeLessThanOrEqual(ATTEMPTS_MAX)
})
