// Images and artifacts are pushed to one node and pulled from another; there is no registry anywhere.
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { DOCKER_TOOLS, startDockerd } from "../support/dockerd.ts"
import { goTool } from "../support/go-tool.ts"
import { newerDebian } from "../support/newer-debian.ts"
import { missingTools, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashFile, hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const missing = missingTools(...IMAGE_TOOLS, ...DOCKER_TOOLS)
const newer = await newerDebian()
const built = await goTool("oras")
const fallback = newer === undefined ? undefined : [...newer, "oras"]
const oras = built === undefined ? fallback : [built]
const crane = await goTool("crane")

describe.skipIf(missing.length > 0)("pushed to one node, pulled from another", () => {
  const workspace = openWorkspace("push")
  let first: SealiftNode
  let second: SealiftNode

  beforeAll(async () => {
    first = await startNode(workspace, { name: "first" })
    second = await startNode(workspace, { name: "second", peers: first.p2p })
  })
  afterAll(() => workspace.close())

  test("skopeo pushes an image of more than 300 MB", async () => {
    const image = await realImage("large")
    await pushImage(image, first.host, "team/large")
    const folder = join(workspace.root, "large")
    await skopeoPull(`${second.host}/team/large:1`, folder)
    const blobs = [image.config, ...image.layers].map(({ digest }) => digest).sort()
    expect(await hashPulledFolder(folder)).toEqual({ digest: image.digest, blobs })
  })

  test("skopeo pushes an index of two platforms", async () => {
    const image = await realImage("index")
    await pushImage(image, first.host, "team/index")
    const folder = join(workspace.root, "index")
    await skopeoPull(`${second.host}/team/index:1`, folder, { all: true })
    expect((await hashPulledFolder(folder)).digest).toBe(image.digest)
  })

  test("docker pushes, and pulls it back from the other node", async () => {
    const image = await realImage("small")
    const engine = await startDockerd(workspace, "dockerd")
    const archive = join(workspace.root, "small.tar")
    const [pushed, pulled] = [`${first.host}/team/small:2`, `${second.host}/team/small:2`]
    await run(["skopeo", "copy", `oci:${image.layout}:1`, `docker-archive:${archive}:${pushed}`])
    await engine.docker("load", "--quiet", "--input", archive)
    const format = "{{.Id}} {{.RepoDigests}}"
    await engine.docker("push", "--quiet", pushed)
    const before = await engine.docker("image", "inspect", "--format", format, pushed)
    await engine.docker("image", "rm", pushed)
    await engine.docker("pull", "--quiet", pulled)
    const after = await engine.docker("image", "inspect", "--format", format, pulled)
    expect(after.stdout).toBe(before.stdout.replace(first.host, second.host))
    expect(after.stdout).toContain(image.config.digest)
  })

  test.skipIf(oras === undefined)(
    "oras pushes a model, attaches to it and discovers it",
    async () => {
      const weights = "weights.safetensors"
      const folder = await workspace.folder("model")
      await writeFile(join(folder, weights), new Uint8Array(700_001).fill(7))
      await writeFile(join(folder, "card.md"), "# a model\n")
      const type = "application/vnd.cncf.model.manifest.v1+json"
      const file = `${weights}:application/vnd.cncf.model.weight.v1.raw`
      const [pushed, pulled] = [`${first.host}/team/model:1`, `${second.host}/team/model:1`]
      const client = (...args: readonly string[]) => run([...oras!, ...args], { cwd: folder })
      await client("push", "--plain-http", "--artifact-type", type, pushed, file)
      const note = "application/vnd.example.card"
      await client(
        "attach",
        "--plain-http",
        "--artifact-type",
        note,
        pushed,
        "card.md:text/markdown",
      )
      const out = await workspace.folder("model-out")
      await client("pull", "--plain-http", "--output", out, pulled)
      expect(await hashFile(join(out, weights))).toBe(await hashFile(join(folder, weights)))
      const found = await client("discover", "--plain-http", "--format", "json", pulled)
      expect(found.stdout).toContain(note)
      const manifest = await client("manifest", "fetch", "--plain-http", pulled)
      expect(JSON.parse(manifest.stdout)).toMatchObject({ artifactType: type })
    },
  )

  test.skipIf(crane === undefined)(
    "crane pushes, and finds the image on the other node valid",
    async () => {
      const image = await realImage("small")
      await run([crane!, "push", image.layout, `${first.host}/team/crane:1`, "--insecure"])
      await run([crane!, "validate", "--remote", `${second.host}/team/crane:1`, "--insecure"])
      const digest = await run([crane!, "digest", `${second.host}/team/crane:1`, "--insecure"])
      expect(digest.stdout.trim()).toBe(image.digest)
      const tags = await run([crane!, "ls", `${first.host}/team/crane`, "--insecure"])
      expect(tags.stdout.trim()).toBe("1")
    },
  )

  test("what was pushed outlives the node it was pushed to", async () => {
    const image = await realImage("small")
    await pushImage(image, first.host, "team/kept")
    await skopeoPull(`${second.host}/team/kept:1`, join(workspace.root, "kept-1"))
    await first.stop()
    await skopeoPull(`${second.host}/team/kept:1`, join(workspace.root, "kept-2"))
    const read = (folder: string) => readFile(join(workspace.root, folder, "manifest.json"), "utf8")
    expect(await read("kept-2")).toBe(await read("kept-1"))
  })
})
