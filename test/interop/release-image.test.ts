/** A container image as the content of a sealed release: published by reference, opened as an OCI layout. */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools, type Outcome, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const missing = missingTools(...IMAGE_TOOLS, "docker-registry")

async function done(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return stdout.trim()
}

describe.skipIf(missing.length > 0)("an image that is released", () => {
  const workspace = openWorkspace("release-image")
  let registry: DockerRegistry
  let image: RealImage
  let anchor: SealiftNode
  let edge: SealiftNode

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("small")
    await pushImage(image, registry.directHost, "team/app")
    const upstreams = { [REGISTRY]: `http://${registry.directHost}` }
    anchor = await startNode(workspace, { name: "anchor", upstreams })
    edge = await startNode(workspace, { name: "edge" })
    const key = join(workspace.root, "owner.key")
    await done(anchor.sealift("fleet", "init", "--name", "lab"))
    await done(anchor.sealift("party", "init", "owner", "--out", key))
    await done(anchor.sealift("fleet", "policy", "set", "acme", "--party", `owner=${key}.pub`))
    const token = await done(anchor.sealift("fleet", "invite", "--group", "edge"))
    await done(edge.sealift("fleet", "join", token))
  })
  afterAll(() => workspace.close())

  test("is opened as a layout that skopeo reads, with the registry's own digest", async () => {
    const source = `oci:${REGISTRY}/team/app:1`
    const publish = ["publish", "acme/app", source, "--seal", "--audience", "edge"]
    expect(await done(anchor.sealift(...publish))).toBe("acme/app@1")
    const key = join(workspace.root, "owner.key")
    await done(anchor.sealift("approve", "acme/app@1", "--key", key))
    const out = join(workspace.root, "opened")
    await done(edge.sealift("open", "acme/app@1", "-o", out))
    const inspected = await run(["skopeo", "inspect", "--raw", `oci:${out}`])
    expect(inspected.stdout.length).toBeGreaterThan(0)
    const digest = await run(["skopeo", "inspect", "--format", "{{.Digest}}", `oci:${out}`])
    expect(digest.stdout.trim()).toBe(image.digest)
  })
})
