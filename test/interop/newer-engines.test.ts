// The engines of the next Debian (their own root, so that this machine stays as it is) through a node.
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startContainerd } from "../support/containerd.ts"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { startDockerd } from "../support/dockerd.ts"
import { newerDebian } from "../support/newer-debian.ts"
import { openPodman } from "../support/podman.ts"
import { missingTools, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const HELLO = ["/bin/sh", "-c", "echo hello"] as const

const missing = missingTools(...IMAGE_TOOLS, "docker-registry")
const inside = missing.length > 0 ? undefined : await newerDebian()

describe.skipIf(inside === undefined)("newer engines through a node", () => {
  const workspace = openWorkspace("newer")
  const reference = `${REGISTRY}/team/app:1`
  let registry: DockerRegistry
  let image: RealImage
  let index: RealImage
  let node: SealiftNode

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("small")
    index = await realImage("index")
    for (const name of ["team/app", "library/app"])
      await pushImage(image, registry.directHost, name)
    await pushImage(index, registry.directHost, "team/index")
    const url = `http://${registry.host}`
    node = await startNode(workspace, {
      name: "node",
      upstreams: { [REGISTRY]: url, "docker.io": url },
    })
    const versions = ["containerd", "dockerd", "podman", "skopeo"].map(async (name) => {
      const { stdout } = await run([name, "--version"], { inside: inside! })
      process.stderr.write(stdout)
    })
    await Promise.all(versions)
  })
  afterAll(() => workspace.close())

  async function setup(engine: string, ...flags: readonly string[]): Promise<string> {
    const root = await workspace.folder(`${engine}-root`)
    const { code, stderr } = await node.sealift("setup", engine, "--root", root, ...flags)
    expect(stderr.trim() + code).toMatch(/0$/)
    return join(root, "etc")
  }

  test("containerd pulls with ctr and over the CRI, and runs a container", async () => {
    const hostsFolder = join(await setup("containerd"), "containerd/certs.d")
    const engine = await startContainerd(workspace, "containerd", { hostsFolder, inside })
    await engine.pull(reference)
    expect(await engine.digestOf(reference)).toBe(image.digest)
    await engine.hashContent()
    expect(await engine.runContainer(reference, HELLO)).toBe("hello\n")
    expect(await engine.criPull(`${REGISTRY}/team/index:1`)).toBe(index.config.digest)
  })

  test("podman pulls with the mirror that setup wrote, and runs a container", async () => {
    const etcFolder = await setup("podman", "--registry", REGISTRY)
    const engine = await openPodman(workspace, "podman", { etcFolder, inside })
    await engine.podman("pull", "--quiet", reference)
    const format = ["image", "inspect", "--format", "{{.Digest}} sha256:{{.Id}}", reference]
    const { stdout } = await engine.podman(...format)
    expect(stdout.trim()).toBe(`${image.digest} ${image.config.digest}`)
    const ran = await engine.podman("run", "--rm", "--network", "none", reference, ...HELLO)
    expect(ran.stdout).toBe("hello\n")
  })

  test("skopeo pulls an index with all its platforms", async () => {
    const folder = join(workspace.root, "index")
    await skopeoPull(`${node.host}/${REGISTRY}/team/index:1`, folder, { all: true, inside })
    expect((await hashPulledFolder(folder)).digest).toBe(index.digest)
  })

  test("dockerd pulls with the mirror that setup wrote, and runs a container", async () => {
    const etc = await setup("docker")
    // It told the node, too, which registry a name without one means.
    await node.stop()
    node = await startNode(workspace, { name: "node", keepConfig: true, http: node.host })
    const text = await readFile(join(etc, "docker/daemon.json"), "utf8")
    const engine = await startDockerd(workspace, "dockerd", JSON.parse(text), inside)
    await engine.docker("pull", "--quiet", "app:1")
    const { stdout } = await engine.docker("image", "inspect", "--format", "{{.Id}}", "app:1")
    expect(stdout.trim()).toBe(image.config.digest)
    const ran = await engine.docker("run", "--rm", "--network", "none", "app:1", ...HELLO)
    expect(ran.stdout).toBe("hello\n")
  })

  test("no engine ever went to the registry itself", () => {
    const engines = /containerd|docker|containers|skopeo|podman/i
    const strangers = registry.proxy.requests.filter(({ userAgent }) => engines.test(userAgent))
    expect(strangers).toEqual([])
  })
})
