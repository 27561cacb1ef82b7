/** The controllers of a node: one for each plan that names it, also after one could not start. */
import { expect, it } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import type { RolloutController } from "../../../src/rollout/controller.ts"
import { Controllers } from "../../../src/rollout/controllers.ts"
import type { KnownPlan } from "../../../src/rollout/plan-record.ts"
import { digestFor, OPEN_PLAN, peerOf } from "./rollout-scene.ts"

const known = (name: string): KnownPlan => ({
  plan: { said: { ...OPEN_PLAN, name }, digest: digestFor(name), signers: new Set() },
  named: { name, version: 1, digest: digestFor(name) },
  envelope: new Uint8Array(),
})

it("starts one that could not start when it is asked for again, and holds up no other", async () => {
  const made: string[] = []
  const told: string[] = []
  let isBroken = true
  const controllers = new Controllers({
    self: peerOf(1),
    log: { ...silentLogger, error: (_, message) => told.push(message) },
    make: ({ named: { name } }) => {
      made.push(name)
      const start = async () => {
        if (isBroken && name === "first") throw new Error("the index is closed")
      }
      return { start, look: () => {}, stop: () => {} } as unknown as RolloutController
    },
  })
  const plans = [known("first"), known("second")]
  await controllers.look(plans)
  expect([controllers.get(plans[0]!), made]).toEqual([undefined, ["first", "second"]])
  expect(told).toHaveLength(1)
  await expect(controllers.of(plans[0]!)).rejects.toThrow("the index is closed")
  isBroken = false
  await controllers.look(plans)
  expect(controllers.get(plans[0]!)).toBeDefined()
  expect(made).toEqual(["first", "second", "first", "first"])
})

it("has none of a plan that another node decides", async () => {
  const make = () => expect.unreachable()
  const controllers = new Controllers({ self: peerOf(2), log: silentLogger, make })
  expect(await controllers.of(known("first"))).toBeUndefined()
})
