// Real engines pull one real image of more than 300 MB through one node, configured by `sealift setup`
// where that exists, and get what the registry itself would have given.
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CONTAINERD_TOOLS, startContainerd } from "../support/containerd.ts"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { DOCKER_TOOLS, startDockerd } from "../support/dockerd.ts"
import { openPodman, PODMAN_TOOLS, underEtc } from "../support/podman.ts"
import { missingTools, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const HELLO = ["/bin/sh", "-c", "echo hello; cat /etc/os-release"] as const

const missing = missingTools(
  ...[...IMAGE_TOOLS, ...CONTAINERD_TOOLS, ...DOCKER_TOOLS, ...PODMAN_TOOLS, "docker-registry"],
)

describe.skipIf(missing.length > 0)("a real image through a node", () => {
  const workspace = openWorkspace("engines")
  let registry: DockerRegistry
  let image: RealImage
  let index: RealImage
  let node: SealiftNode

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("large")
    index = await realImage("index")
    await pushImage(image, registry.directHost, "team/app")
    await pushImage(image, registry.directHost, "library/app")
    await pushImage(index, registry.directHost, "team/index")
    const url = `http://${registry.host}`
    node = await startNode(workspace, {
      name: "node",
      upstreams: { [REGISTRY]: url, "docker.io": url },
    })
  })
  afterAll(() => workspace.close())

  /** Writes an engine's configuration below a folder and gives that folder's `etc`. */
  async function setup(engine: string, ...flags: readonly string[]): Promise<string> {
    const root = await workspace.folder(`${engine}-root`)
    const { code, stderr } = await node.sealift("setup", engine, "--root", root, ...flags)
    expect(stderr.trim() + code).toMatch(/0$/)
    return join(root, "etc")
  }

  /** The name of the test's registry is in no DNS: podman is told where it is, beside the mirror. */
  async function tellLocation(etcFolder: string, host: string): Promise<void> {
    const path = join(etcFolder, "containers/registries.conf.d/050-sealift-podman.conf")
    const text = await readFile(path, "utf8")
    const location = `location = "${host}"\ninsecure = true`
    await writeFile(path, text.replace(`location = "${REGISTRY}"`, location))
  }

  test("skopeo pulls byte for byte what it pulls from the registry", async () => {
    const [direct, through] = [join(workspace.root, "direct"), join(workspace.root, "through")]
    await skopeoPull(`${registry.directHost}/team/app:1`, direct)
    await skopeoPull(`${node.host}/${REGISTRY}/team/app:1`, through)
    expect(await hashPulledFolder(through)).toEqual(await hashPulledFolder(direct))
    expect((await hashPulledFolder(through)).digest).toBe(image.digest)
  })

  test("containerd pulls with the hosts that setup wrote, and runs a container", async () => {
    const hostsFolder = join(await setup("containerd"), "containerd/certs.d")
    const containerd = await startContainerd(workspace, "containerd", { hostsFolder })
    const reference = `${REGISTRY}/team/app:1`
    await containerd.pull(reference)
    expect(await containerd.digestOf(reference)).toBe(image.digest)
    const held = await containerd.hashContent()
    expect(held).toEqual(expect.arrayContaining(image.layers.map(({ digest }) => digest)))
    const said = await containerd.runContainer(reference, HELLO)
    expect(said).toMatch(/^hello\n[\s\S]*Debian/)
    await containerd.pull(`${REGISTRY}/team/index:1`)
    expect(await containerd.digestOf(`${REGISTRY}/team/index:1`)).toBe(index.digest)
  })

  test("containerd pulls over the CRI, as the kubelet does", async () => {
    const hostsFolder = join(await setup("containerd"), "containerd/certs.d")
    const containerd = await startContainerd(workspace, "cri", { hostsFolder })
    expect(await containerd.criPull(`${REGISTRY}/team/app:1`)).toBe(image.config.digest)
    expect(await containerd.criPull(`${REGISTRY}/team/index:1`)).toBe(index.config.digest)
  })

  test("podman pulls with the mirror that setup wrote, and runs a container", async () => {
    const engine = await openPodman(workspace, "podman", {
      etcFolder: await setup("podman", "--registry", REGISTRY),
    })
    const reference = `${REGISTRY}/team/app:1`
    await engine.podman("pull", "--quiet", reference)
    const inspect = ["image", "inspect", "--format", "{{.Digest}} sha256:{{.Id}}", reference]
    const { stdout } = await engine.podman(...inspect)
    expect(stdout.trim()).toBe(`${image.digest} ${image.config.digest}`)
    const ran = await engine.podman("run", "--rm", "--network", "none", reference, ...HELLO)
    expect(ran.stdout).toMatch(/^hello\n[\s\S]*Debian/)
    await engine.podman("pull", "--quiet", `${REGISTRY}/team/index:1`)
  })

  test("skopeo pulls with the mirror that setup wrote for podman", async () => {
    const inside = await underEtc(await setup("podman", "--registry", REGISTRY))
    const folder = join(workspace.root, "mirrored")
    await mkdir(folder)
    const source = `docker://${REGISTRY}/team/index@${index.digest}`
    await run([...inside, "skopeo", "copy", "--all", source, `dir:${folder}`])
    expect((await hashPulledFolder(folder)).digest).toBe(index.digest)
  })

  test("dockerd pulls with the mirror that setup wrote, and by the node's own path", async () => {
    const etc = await setup("docker")
    // It told the node, too, which registry a name without one means.
    await node.stop()
    node = await startNode(workspace, { name: "node", keepConfig: true, http: node.host })
    const text = await readFile(join(etc, "docker/daemon.json"), "utf8")
    const engine = await startDockerd(workspace, "dockerd", JSON.parse(text))
    const inspect = ["image", "inspect", "--format", "{{.Id}} {{.RepoDigests}}"]
    await engine.docker("pull", "--quiet", "app:1")
    const mirrored = await engine.docker(...inspect, "app:1")
    expect(mirrored.stdout.trim()).toBe(`${image.config.digest} [app@${image.digest}]`)
    const reference = `${node.host}/${REGISTRY}/team/app:1`
    await engine.docker("pull", "--quiet", reference)
    expect((await engine.docker(...inspect, reference)).stdout).toContain(image.digest)
    const ran = await engine.docker("run", "--rm", "--network", "none", "app:1", ...HELLO)
    expect(ran.stdout).toMatch(/^hello\n[\s\S]*Debian/)
  })

  test("no engine ever went to the registry itself, and every blob left it about once", () => {
    const { requests } = registry.proxy
    const engines = /containerd|docker|containers|skopeo|podman/i
    expect(requests.filter(({ userAgent }) => engines.test(userAgent))).toEqual([])
    expect(registry.proxy.blobBytes()).toBeLessThan(1.02 * (image.sizeBytes + 2 * index.sizeBytes))
  })

  test("without a node, containerd and podman go to the registry itself", async () => {
    const host = registry.directHost
    const hostsFolder = join(await setup("containerd"), "containerd/certs.d")
    const etcFolder = await setup("podman", "--registry", REGISTRY)
    await tellLocation(etcFolder, host)
    await node.stop()
    const reference = `${host}/team/index:1`
    const containerd = await startContainerd(workspace, "alone", { hostsFolder })
    await containerd.pull(reference)
    expect(await containerd.digestOf(reference)).toBe(index.digest)
    const podman = await openPodman(workspace, "podman-alone", { etcFolder })
    await podman.podman("pull", "--quiet", `${REGISTRY}/team/index:1`)
  })
})
