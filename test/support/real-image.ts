/**
 * Real images for the tests, built once by debootstrap and buildah and kept as OCI layouts outside
 * the repository: `large` (five layers, over 300 MB compressed), `small` (busybox) and `index`.
 * @module
 */
import { createCipheriv, createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { aptProxy, debianMirror } from "./debian-mirror.ts"
import { findTool, run } from "./process.ts"
import { openWorkspace, type Workspace } from "./workspace.ts"

/** The images that exist; what each is stands in {@link RECIPES}. */
export type ImageName = "large" | "small" | "index"

/** A blob of an image. */
export interface ImageBlob {
  readonly digest: string
  readonly sizeBytes: number
}

/** An image as an OCI layout on disk, with one tag, `1`. */
export interface RealImage {
  readonly name: ImageName
  /** Folder of the OCI layout. */
  readonly layout: string
  /** Digest of what the tag names: a manifest, or an index for `index`. */
  readonly digest: string
  /** Layers of the manifest for this machine, lowest first. */
  readonly layers: readonly ImageBlob[]
  readonly config: ImageBlob
  /** Config and layers together. */
  readonly sizeBytes: number
}

const LARGE_SIZE_BYTES_MIN = 300e6
const LARGE_LAYERS_MIN = 4
const PAYLOAD_BYTES = 176 * 1024 * 1024
const BUILD_TIMEOUT_MS = 900_000

// What an image is made of. The cache is keyed by this text, so a change here builds anew.
const RECIPES: Record<ImageName, Record<string, unknown>> = {
  large: {
    version: 1,
    base: "debootstrap minbase",
    steps: [
      ["python3-minimal", "ca-certificates", "curl"],
      ["gcc", "libc6-dev", "make"],
    ],
    payloadBytes: PAYLOAD_BYTES,
  },
  small: { version: 1, base: "busybox", payloadBytes: 3_000_001 },
  index: { version: 1, base: "busybox", payloadBytes: 300_001, platforms: ["amd64", "arm64"] },
}

/** The programs that building an image needs; see `missingTools`. */
export const IMAGE_TOOLS: readonly string[] = [
  "root",
  "buildah",
  "skopeo",
  "debootstrap",
  "busybox",
]

/** Gives an image, building it when the cache lacks it. */
export async function realImage(name: ImageName): Promise<RealImage> {
  const recipe = { ...RECIPES[name], suite: name === "large" ? (await debianMirror()).suite : "" }
  const key = createHash("sha256").update(JSON.stringify(recipe)).digest("hex").slice(0, 16)
  const cache = process.env.SEALIFT_TEST_CACHE ?? join(tmpdir(), "sealift-test-cache")
  const layout = join(cache, `${name}-${key}`)
  if (!existsSync(layout)) await buildInto(layout, cache, name)
  const image = await describeImage(name, layout)
  const isSmall = image.sizeBytes < LARGE_SIZE_BYTES_MIN || image.layers.length < LARGE_LAYERS_MIN
  if (name === "large" && isSmall)
    throw new Error(`the large image is too small: ${image.sizeBytes}`)
  return image
}

/** Copies an image to a registry under `repository:1`. */
export async function pushImage(
  image: RealImage,
  host: string,
  repository: string,
  tag = "1",
): Promise<void> {
  const source = `oci:${image.layout}:1`
  const target = `docker://${host}/${repository}:${tag}`
  const flags = ["--all", "--preserve-digests", "--dest-tls-verify=false"]
  await run(["skopeo", "copy", ...flags, source, target])
}

/** Gives the bytes of a blob or manifest of the layout. */
export function readLayoutBlob(layout: string, digest: string): Promise<Uint8Array> {
  return readFile(join(layout, "blobs", "sha256", digest.slice("sha256:".length)))
}

async function buildInto(layout: string, cache: string, name: ImageName): Promise<void> {
  const workspace = openWorkspace(`image-${name}`)
  try {
    const target = join(workspace.root, "layout")
    const build = new Build(workspace)
    if (name === "large") await buildLarge(build, target)
    else if (name === "small") await buildSmall(build, target)
    else await buildIndex(build, target)
    await mkdir(cache, { recursive: true })
    // Copied beside its place first, since the cache may stand on another file system.
    const beside = `${layout}.${process.pid}`
    await run(["cp", "-a", target, beside])
    await rename(beside, layout).catch(() => rm(beside, { recursive: true }))
  } finally {
    await workspace.close()
  }
}

/** buildah with its whole state inside the workspace. */
class Build {
  readonly workspace: Workspace

  constructor(workspace: Workspace) {
    this.workspace = workspace
  }

  /** Runs one buildah command and gives what it printed. */
  async buildah(...args: readonly string[]): Promise<string> {
    const { root } = this.workspace
    const places = ["--root", join(root, "storage"), "--runroot", join(root, "run")]
    const { stdout } = await run(["buildah", ...places, ...args], {
      env: { BUILDAH_ISOLATION: "chroot", TMPDIR: root, ...(await aptProxy()) },
      timeoutMs: BUILD_TIMEOUT_MS,
    })
    return stdout.trim()
  }

  /** Adds one layer on top of `base` and gives the new image's name. */
  async layer(
    base: string,
    name: string,
    change: (container: string) => Promise<unknown>,
    from: readonly string[] = [],
  ): Promise<string> {
    const container = await this.buildah("from", ...from, base)
    await change(container)
    await this.buildah("config", "--cmd", "/bin/sh", container)
    const flags = ["--quiet", "--rm", "--format", "oci"]
    await this.buildah("commit", ...flags, container, `localhost/${name}`)
    return `localhost/${name}`
  }
}

async function buildLarge(build: Build, target: string): Promise<void> {
  const { root } = build.workspace
  const rootfs = join(root, "rootfs")
  const { uri, suite } = await debianMirror()
  await run(
    ["debootstrap", "--variant=minbase", suite, rootfs, ...(uri === undefined ? [] : [uri])],
    {
      env: await aptProxy(),
      timeoutMs: BUILD_TIMEOUT_MS,
    },
  )
  await rm(join(rootfs, "var/cache/apt/archives"), { recursive: true })
  await mkdir(join(rootfs, "var/cache/apt/archives/partial"), { recursive: true })
  let image = await build.layer("scratch", "large-base", (container) =>
    build.buildah("copy", "--quiet", container, rootfs, "/"),
  )
  const steps = RECIPES.large.steps as readonly (readonly string[])[]
  for (const [index, packages] of steps.entries()) {
    const install = `apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages.join(" ")} && apt-get clean && rm -rf /var/lib/apt/lists/*`
    image = await build.layer(image, `large-${index}`, (container) =>
      build.buildah("run", container, "--", "/bin/sh", "-c", install),
    )
  }
  await writeNoise(join(root, "weights.bin"), PAYLOAD_BYTES, "large")
  image = await build.layer(image, "large-payload", (container) =>
    build.buildah("copy", "--quiet", container, join(root, "weights.bin"), "/srv/weights.bin"),
  )
  await writeFile(join(root, "note"), "sealift test image\n")
  image = await build.layer(image, "large-note", (container) =>
    build.buildah("copy", "--quiet", container, join(root, "note"), "/srv/note"),
  )
  await build.buildah("push", "--quiet", image, `oci:${target}:1`)
}

/** A busybox image of three layers; `platform` flavours it so that two platforms differ. */
async function busyboxImage(build: Build, name: ImageName, platform: string): Promise<string> {
  const { root } = build.workspace
  const rootfs = join(root, `rootfs-${platform}`)
  await mkdir(join(rootfs, "bin"), { recursive: true })
  await mkdir(join(rootfs, "etc"))
  await run(["cp", findTool("busybox")!, join(rootfs, "bin/busybox")])
  for (const applet of ["sh", "echo", "cat", "sleep", "sha256sum"])
    await run(["ln", "-s", "busybox", join(rootfs, "bin", applet)])
  await writeFile(join(rootfs, "etc/os-release"), `NAME=busybox\nVARIANT=${platform}\n`)
  const noise = join(root, `noise-${platform}`)
  await writeNoise(noise, Number(RECIPES[name].payloadBytes), `${name} ${platform}`)
  const copy = (source: string, target: string) => (container: string) =>
    build.buildah("copy", "--quiet", container, source, target)
  const tag = (part: string) => `${name}-${platform}-${part}`
  const from = ["--arch", platform]
  const base = await build.layer("scratch", tag("base"), copy(rootfs, "/"), from)
  const middle = await build.layer(base, tag("noise"), copy(noise, "/srv/noise"), from)
  const top = copy(join(rootfs, "etc/os-release"), "/srv/variant")
  return build.layer(middle, tag("top"), top, from)
}

async function buildSmall(build: Build, target: string): Promise<void> {
  const image = await busyboxImage(build, "small", "amd64")
  await build.buildah("push", "--quiet", image, `oci:${target}:1`)
}

async function buildIndex(build: Build, target: string): Promise<void> {
  await build.buildah("manifest", "create", "localhost/index")
  for (const platform of RECIPES.index.platforms as readonly string[]) {
    const image = await busyboxImage(build, "index", platform)
    const flags = ["--arch", platform]
    await build.buildah(
      "manifest",
      "add",
      ...flags,
      "localhost/index",
      `containers-storage:${image}`,
    )
  }
  await build.buildah("manifest", "push", "--all", "--quiet", "localhost/index", `oci:${target}:1`)
}

/** Writes bytes that do not compress and are the same every time. */
async function writeNoise(path: string, sizeBytes: number, seed: string): Promise<void> {
  const key = createHash("sha256").update(seed).digest()
  const stream = createCipheriv("aes-256-ctr", key, new Uint8Array(16))
  const zeros = new Uint8Array(1024 * 1024)
  await using file = await open(path, "w")
  for (let left = sizeBytes; left > 0; left -= zeros.length)
    await file.write(stream.update(zeros.subarray(0, Math.min(left, zeros.length))))
}

interface Manifest {
  readonly config?: { digest: string; size: number }
  readonly layers?: readonly { digest: string; size: number }[]
  readonly manifests?: readonly { digest: string; platform?: { architecture: string } }[]
}

async function describeImage(name: ImageName, layout: string): Promise<RealImage> {
  const entry = parse(await readFile(join(layout, "index.json"))).manifests![0]!
  let manifest = parse(await readLayoutBlob(layout, entry.digest))
  if (manifest.manifests !== undefined) {
    const wanted = process.arch === "x64" ? "amd64" : process.arch
    const own = manifest.manifests.find(({ platform }) => platform?.architecture === wanted)
    manifest = parse(await readLayoutBlob(layout, own!.digest))
  }
  const toBlob = (part: { digest: string; size: number }): ImageBlob => ({
    digest: part.digest,
    sizeBytes: part.size,
  })
  const layers = manifest.layers!.map(toBlob)
  const config = toBlob(manifest.config!)
  const sizeBytes = layers.reduce((sum, layer) => sum + layer.sizeBytes, config.sizeBytes)
  return { name, layout, digest: entry.digest, layers, config, sizeBytes }
}

const parse = (bytes: Uint8Array): Manifest =>
  JSON.parse(new TextDecoder().decode(bytes)) as Manifest
