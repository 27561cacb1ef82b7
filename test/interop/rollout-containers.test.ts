/**
 * Images that a rollout activates, by real runtimes: what runs is the new one, and after a rollback the
 * old one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { systemClock } from "../../src/core/clock.ts"
import type { Activator, Prober } from "../../src/rollout/activation.ts"
import { createActivator } from "../../src/rollout/activator.ts"
import { ALLOW_NOTHING } from "../../src/rollout/allowing.ts"
import { programRunner } from "../../src/rollout/bounded-program.ts"
import type { Probe } from "../../src/rollout/plan.ts"
import { createProber } from "../../src/rollout/prober.ts"
import { CONTAINERD, DOCKER, noiseInside, PODMAN, SERVE } from "../support/container-runtimes.ts"
import { releaseAt } from "../support/opened-release.ts"
import { missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, realImage } from "../support/real-image.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

describe.each([PODMAN, DOCKER, CONTAINERD])("an image that is activated by $kind", (runtime) => {
  const { kind, tools } = runtime
  const missing = missingTools(...tools, ...IMAGE_TOOLS)
  const { signal } = new AbortController()
  // Two tests of one machine share what shims keep by name.
  const container = `rollout-${kind}-${process.pid}`
  const activation = { kind, container, timeoutMs: 120_000 }
  let workspace: Workspace
  let program: readonly string[]
  let activator: Activator
  let prober: Prober
  let images: readonly string[]
  const target = (sequence: number) => releaseAt(images[sequence - 1]!, sequence)
  const activate = (sequence: number) =>
    activator.activate(activation, target(sequence), { signal })
  const running = (sequence: number) =>
    activator.isRunning(activation, target(sequence), { signal })
  const seenInside = () => noiseInside(runtime, program, container)

  beforeAll(async () => {
    if (missing.length > 0) return
    workspace = openWorkspace(`rollout-${kind}`)
    images = [(await realImage("small")).layout, (await realImage("index")).layout]
    program = await runtime.open(workspace)
    const rule = { runtime: kind, program, args: runtime.args, command: SERVE }
    const deps = {
      node: "12D3KooWNode",
      clock: systemClock,
      allow: () => ({ ...ALLOW_NOTHING, containers: { [container]: rule } }),
      openedFolder: "/",
      run: programRunner(systemClock, process.env),
    }
    activator = createActivator(deps)
    prober = createProber({ ...deps, activator })
  })
  afterAll(async () => {
    if (missing.length > 0) return
    await activator.deactivate(activation, { signal })
    await workspace.close()
  })

  test.skipIf(missing.length > 0)("runs, then the next one does, and the first again", async () => {
    await activator.deactivate(activation, { signal })
    expect([await running(1), await running(2)]).toEqual(["no", "no"])
    await activate(1)
    const first = await seenInside()
    expect([await running(1), await running(2)]).toEqual(["yes", "no"])
    await activate(2)
    const second = await seenInside()
    expect(second).not.toBe(first)
    expect([await running(1), await running(2)]).toEqual(["no", "yes"])
    await activate(1)
    expect(await seenInside()).toBe(first)
    expect([await running(1), await running(2)]).toEqual(["yes", "no"])
  })

  test.skipIf(missing.length > 0)(
    "is well while it runs, and not when it was taken away",
    async () => {
      await activate(1)
      const probe = (check: Probe["check"]) =>
        prober.probe(
          { check, timeoutMs: 20_000, retries: 0, intervalMs: 0 },
          { activation, target: target(1) },
          { signal },
        )
      expect(await probe({ kind: "container", container })).toEqual({ isHealthy: true })
      expect(await probe({ kind: "running" })).toEqual({ isHealthy: true })
      await activator.deactivate(activation, { signal })
      expect(await probe({ kind: "container", container })).toEqual({
        isHealthy: false,
        reason: `there is no container ${container}`,
      })
      expect(await probe({ kind: "running" })).toMatchObject({ isHealthy: false })
    },
  )

  test.skipIf(missing.length > 0)("that is no image leaves what runs as it is", async () => {
    await activate(2)
    const bad = releaseAt(workspace.root, 3)
    await expect(activator.activate(activation, bad, { signal })).rejects.toMatchObject({
      code: "ACTIVATION_FAILED",
    })
    expect(await running(2)).toBe("yes")
  })
})
