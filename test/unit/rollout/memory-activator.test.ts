/** The twins that tests and simulations script. */
import { beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import {
  type ActivationCall,
  MemoryActivator,
  MemoryProber,
} from "../../../src/rollout/memory-activator.ts"
import type { Activation, Probe } from "../../../src/rollout/plan.ts"
import { releaseAt } from "../../support/opened-release.ts"

const podman: Activation = { kind: "podman", container: "web", timeoutMs: 5_000 }
const probe: Probe = {
  check: { kind: "running" },
  ...{ timeoutMs: 1_000, retries: 2, intervalMs: 10_000 },
}
const target = releaseAt("/opened/1", 1)
const options = { signal: new AbortController().signal }

let clock: VirtualClock
let calls: ActivationCall[]
let activator: MemoryActivator
let prober: MemoryProber
beforeEach(() => {
  clock = new VirtualClock()
  calls = []
  activator = new MemoryActivator(clock, calls)
  prober = new MemoryProber(clock, calls)
})

describe("the twin of an activator", () => {
  test("writes calls down in order, together with a prober's", async () => {
    await activator.activate(podman, target, options)
    await prober.probe(probe, { target }, options)
    await activator.isRunning(podman, target, options)
    await activator.deactivate(podman, options)
    expect(calls.map(({ act }) => act)).toEqual(["activate", "probe", "isRunning", "deactivate"])
    expect(calls[0]!.release).toBe("acme/model@1")
  })

  test("follows its script, whose last word stays", async () => {
    activator.will("acme/model@1", "failed", "refused", "done")
    const codes = []
    for (let tries = 0; tries < 4; tries++) {
      const fault = await activator.activate(podman, target, options).catch((error) => error)
      codes.push(codeOf(fault))
    }
    expect(codes).toEqual(["ACTIVATION_FAILED", "ACTIVATION_REFUSED", undefined, undefined])
    expect(calls).toHaveLength(3)
  })

  test("that crashes has made the release run, and told nobody", async () => {
    activator.will("acme/model@1", "crash", "done")
    const fault = await activator.activate(podman, target, options).catch((error) => error)
    expect(codeOf(fault)).toBeUndefined()
    expect(activator.running(podman)).toBe("acme/model@1")
  })

  test("that hangs is late after the activation's own time, and before when it is stopped", async () => {
    activator.will("acme/model@1", "hangs")
    const late = activator.activate(podman, target, options).catch(codeOf)
    await clock.advance(5_000)
    expect(await late).toBe("ACTIVATION_FAILED")
    const controller = new AbortController()
    const { signal } = controller
    const reason = new Error("enough")
    const files: Activation = { kind: "files", path: "/srv/current" }
    const stopped = activator.activate(files, target, { signal }).catch((error) => error)
    controller.abort(reason)
    expect(await stopped).toBe(reason)
  })
})

describe("the twin of a prober", () => {
  test("takes the time that real tries take", async () => {
    prober.will("acme/model@1", "unwell", "hangs", "well")
    const answers: string[] = []
    const probing = async () => {
      const answer = await prober.probe(probe, { target }, options)
      answers.push(`${clock.monotonicMs()} ${answer.isHealthy}`)
    }
    for (const stepMs of [20_000, 23_000, 0]) {
      const answer = probing()
      await clock.advance(stepMs)
      await answer
    }
    expect(answers).toEqual(["20000 false", "43000 false", "43000 true"])
  })

  test("refuses what it is told to", () => {
    prober.refuse(probe)
    expect(() => prober.verifyAllowed(probe)).toThrow("does not allow")
  })
})
