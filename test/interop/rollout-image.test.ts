/**
 * A plan that rolls an image out on a running node, with real runtimes: the new container after the
 * activation, the old one after the rollback.
 */
import { writeFile } from "node:fs/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { stringify } from "yaml"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import { CONTAINERD_TOOLS, startContainerd } from "../support/containerd.ts"
import { startDockerRegistry } from "../support/docker-registry.ts"
import { openPodman, PODMAN_TOOLS } from "../support/podman.ts"
import { missingTools, pollUntil, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, realImage } from "../support/real-image.ts"
import { done, ReleaseFleet } from "../support/release-fleet.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
// A process with the id 1 does not end unless it wants to.
const SERVE = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"]

const RUNTIMES = [
  {
    kind: "podman",
    tools: PODMAN_TOOLS,
    open: async (workspace: Workspace) => (await openPodman(workspace, "podman")).program,
    args: ["--network", "none"],
    exec: (container: string) => ["exec", container],
  },
  {
    kind: "containerd",
    tools: CONTAINERD_TOOLS,
    open: async (workspace: Workspace) => {
      const hostsFolder = `${workspace.root}/certs.d`
      return (await startContainerd(workspace, "containerd", { hostsFolder })).program
    },
    args: [],
    exec: (container: string) => ["tasks", "exec", "--exec-id", "look", container],
  },
] as const

describe.each(RUNTIMES)("a plan for an image under $kind", (runtime) => {
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
    const { anchor } = fleet
    const flags = ["--seal", "--hold", "--audience", "edge"]
    const ref = await done(
      anchor.sealift("publish", "acme/web", `oci:${REGISTRY}/${image}`, ...flags),
    )
    await fleet.approve(anchor, ref, ["owner"])
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
    const path = fleet.path("plan.yaml")
    await writeFile(path, stringify(plan))
    await done(
      anchor.sealift("rollout", "start", await done(anchor.sealift("rollout", "create", path))),
    )
  }

  async function until(node: SealiftNode, isIt: (status: RolloutAnswer) => boolean): Promise<void> {
    let status: RolloutAnswer | undefined
    const look = async () => {
      const text = await done(node.sealift("rollout", "status", "web", "--json"))
      status = JSON.parse(text) as RolloutAnswer
      return isIt(status)
    }
    if (!(await pollUntil(look, 120_000))) throw new Error(JSON.stringify(status))
  }

  const noise = async () => {
    const words = [...program, ...runtime.exec(container), "sha256sum", "/srv/noise"]
    return (await run(words)).stdout.split(" ")[0]
  }

  test.skipIf(missing.length > 0)(
    "runs it on the node, and takes a bad one back to the one before",
    async () => {
      await rollOut("team/small:1", "/bin/true")
      await until(fleet.anchor, ({ phase }) => phase === "completed")
      const first = await noise()

      await rollOut("team/index:1", "/bin/false")
      await until(fleet.anchor, ({ phase }) => phase === "aborted")
      await until(edge, ({ here }) => here?.step === "went-back")
      expect(await noise()).toBe(first)
      const log = await done(edge.sealift("log", "--count", "60"))
      expect(log).toMatch(
        /step=activating[^\n]*\n(?:[^\n]*\n)*?[^\n]*step=failed[^\n]*\/bin\/false/,
      )
    },
    300_000,
  )
})
