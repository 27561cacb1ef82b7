/** Opened images, as runtimes are given them. */
import { mkdtemp, rm, truncate, unlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { extract } from "tar-stream"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { imageArchive } from "../../../src/rollout/image-archive.ts"
import { readImageLayout } from "../../../src/rollout/image-layout.ts"
import { OWN_ARCHITECTURE, writeLayoutFiles } from "../../support/image-layout-files.ts"

const NAME = "localhost/sealift/web:current"
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-layout-"))
})
afterEach(() => rm(folder, { recursive: true }))

const one = () => writeLayoutFiles(folder, { architectures: [OWN_ARCHITECTURE], content: "one" })
const failed = (reason: string) => ({
  code: "ACTIVATION_FAILED",
  message: expect.stringContaining(reason),
})

/** Unpacks an archive with a program of others. */
async function unpack(archive: AsyncIterable<Uint8Array>): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  const unpacked = Readable.from(archive).pipe(extract())
  for await (const entry of unpacked) {
    const parts: Buffer[] = []
    for await (const part of entry) parts.push(part as Buffer)
    files.set(entry.header.name, Buffer.concat(parts))
  }
  return files
}

describe("a layout", () => {
  test("of one platform is named by its manifest and its config", async () => {
    const { digest, manifests } = await one()
    const { config } = manifests[OWN_ARCHITECTURE]!
    const layout = await readImageLayout(folder)
    expect(layout).toMatchObject({ path: folder, config, top: { digest } })
    expect([...layout.names].sort()).toEqual([digest, config].sort())
    expect(layout.layers).toHaveLength(1)
  })

  test("of several is named by all of them, and gives the parts of this machine's", async () => {
    const architectures = ["riscv64", OWN_ARCHITECTURE, "s390x"]
    const { digest, manifests } = await writeLayoutFiles(folder, { architectures, content: "many" })
    // One that was not published is no name.
    await unlink(join(folder, "blobs/sha256", manifests.s390x!.digest.slice(7)))
    const layout = await readImageLayout(folder)
    expect(layout.config).toBe(manifests[OWN_ARCHITECTURE]!.config)
    const { riscv64, [OWN_ARCHITECTURE]: own } = manifests
    const expected = [digest, riscv64, own].flatMap((part) =>
      typeof part === "string" ? [part] : [part!.digest, part!.config],
    )
    expect([...layout.names].sort()).toEqual(expected.sort())
  })

  test("that is none, or for other machines, says so", async () => {
    await expect(readImageLayout(folder)).rejects.toMatchObject(failed("no image that can be run"))
    for (const text of ["{", "[]", "1", '{"manifests":[]}', '{"manifests":[{"digest":"x"}]}']) {
      await writeFile(join(folder, "index.json"), text)
      await expect(readImageLayout(folder)).rejects.toMatchObject(failed("no image"))
    }
    await writeLayoutFiles(folder, { architectures: ["riscv64", "s390x"], content: "other" })
    await expect(readImageLayout(folder)).rejects.toMatchObject(failed("it has nothing for linux/"))
  })
})

describe("its archive", () => {
  test("has the blobs, an index with the name, and what older Docker reads", async () => {
    const { digest } = await one()
    const layout = await readImageLayout(folder)
    const files = await unpack(imageArchive(layout, NAME))
    expect([...files.keys()].slice(0, 3)).toEqual(["oci-layout", "index.json", "manifest.json"])
    expect(files.size).toBe(6)
    const [entry] = JSON.parse(String(files.get("index.json"))).manifests
    expect(entry).toMatchObject({
      digest,
      annotations: {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.ref.name": NAME,
      },
    })
    const [docker] = JSON.parse(String(files.get("manifest.json")))
    expect(docker.RepoTags).toEqual([NAME])
    expect(docker.Config).toBe(`blobs/sha256/${layout.config.slice(7)}`)
    expect(String(files.get(docker.Layers[0]))).toBe(`one ${OWN_ARCHITECTURE}`)
  })

  test("has nothing of the folder but blobs", async () => {
    await one()
    await writeFile(join(folder, "blobs/sha256/note"), "secret")
    const files = await unpack(imageArchive(await readImageLayout(folder), NAME))
    expect(files.size).toBe(6)
  })

  test("says the length of a blob beyond 8 GiB", async () => {
    const { manifests } = await one()
    const layout = await readImageLayout(folder)
    const hex = manifests[OWN_ARCHITECTURE]!.config.slice(7)
    const sizeBytes = 9 * 1024 ** 3
    await truncate(join(folder, "blobs/sha256", hex), sizeBytes)
    const size = await new Promise<number | undefined>((resolve) => {
      const unpacking = extract()
      unpacking.on("entry", ({ name, size }, entry, next) => {
        entry.resume()
        if (name.endsWith(hex)) resolve(size)
        else entry.on("end", next)
      })
      const source = Readable.from(imageArchive(layout, NAME))
      source.pipe(unpacking)
      unpacking.on("entry", ({ name }) => {
        if (name.endsWith(hex)) source.destroy()
      })
    })
    expect(size).toBe(sizeBytes)
  })
})
