/**
 * A plan that rolls an image out on a running node, with real runtimes: the new container after the
 * activation, the old one after the rollback.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CONTAINERD, noiseInside, PODMAN, SERVE } from "../support/container-runtimes.ts"
import { startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, realImage } from "../support/real-image.ts"
import { done, ReleaseFleet } from "../support/release-fleet.ts"
import { createRollout, publishHeld, untilPhase, untilRollout } from "../support/rollout-acts.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const ROLLED_OUT_MS = 120_000

describe.each([PODMAN, CONTAINERD])("a plan for an image under $kind", (runtime) => {
  const { kind, tools } = runtime
  const missing = missingTools(...tools, ...IMAGE_TOOLS, "docker-registry")
  const container = `plan-${kind}-${process.pid}`
  let workspace: Workspace
  let fleet: ReleaseFleet
  let edge: SealiftNode
  let program: readonly string[]

  beforeAll(async () => {
    if (missing.length > 0) return
    workspace = openWorkspace(`plan-${kind}`)
    program = await runtime.open(workspace)
    const registry = await startDockerRegistry(workspace)
    await pushImage(await realImage("small"), registry.directHost, "team/small")
    await pushImage(await realImage("index"), registry.directHost, "team/index")
    const upstreams = { [REGISTRY]: `http://${registry.directHost}` }
    fleet = await ReleaseFleet.found(workspace, { parties: ["owner"], upstreams })
    const rule = { runtime: kind, program, args: runtime.args, command: SERVE }
    const config = { rollout: { allow: { exec: "plan", containers: { [container]: rule } } } }
    edge = await fleet.joinAs({ name: "edge", config }, "--group", "edge")
  }, 240_000)
  afterAll(async () => {
    if (missing.length > 0) return
    const words = kind === "podman" ? ["rm", "-f"] : ["tasks", "rm", "-f"]
    await run([...program, ...words, container], { mayFail: true })
    await workspace.close()
  })

  async function rollOut(image: string, probe: string): Promise<void> {
    const source = `oci:${REGISTRY}/${image}`
    const ref = await publishHeld(fleet, { asset: "acme/web", source, parties: ["owner"] })
    const plan = {
      rollout: "web",
      releases: [ref],
      waves: [{ name: "all", nodes: { group: "edge" }, soak: "0s" }],
      success: { threshold: "100%", minSample: 1 },
      error: { threshold: "50%", action: "abort+rollback" },
      reportDeadline: "120s",
      activate: { [kind]: { container } },
      probe: { exec: [probe], timeout: "5s", retries: 0 },
    }
    await done(fleet.anchor.sealift("rollout", "start", await createRollout(fleet, plan)))
  }

  const noise = () => noiseInside(runtime, program, container)

  test.skipIf(missing.length > 0)(
    "runs it on the node, and takes a bad one back to the one before",
    async () => {
      await rollOut("team/small:1", "/bin/true")
      await untilPhase(fleet.anchor, "web", "completed", ROLLED_OUT_MS)
      const first = await noise()

      await rollOut("team/index:1", "/bin/false")
      await untilPhase(fleet.anchor, "web", "aborted", ROLLED_OUT_MS)
      await untilRollout(edge, "web", ({ here }) => here?.step === "went-back", ROLLED_OUT_MS)
      expect(await noise()).toBe(first)
      const log = await done(edge.sealift("log", "--count", "60"))
      expect(log).toMatch(
        /step=activating[^\n]*\n(?:[^\n]*\n)*?[^\n]*step=failed[^\n]*\/bin\/false/,
      )
    },
    300_000,
  )
})
