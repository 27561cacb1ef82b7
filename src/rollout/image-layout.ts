/**
 * An image that a release was opened to, as an OCI layout (OCI image spec 1.1, image-layout.md): which
 * digests name it, and which of its parts this machine runs.
 * @module
 */
import { open } from "node:fs/promises"
import { join } from "node:path"
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { MANIFEST_BYTES_MAX } from "../core/limits.ts"
import { RolloutError } from "./errors.ts"

const MANIFESTS_MAX = 256

/** What a layout names by digest. */
export interface ImagePart {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
}

/** An image in a folder. */
export interface ImageLayout {
  /** The absolute folder. */
  readonly path: string
  /** Its manifest, or the index of those for several platforms. */
  readonly top: ImagePart
  /**
   * Every digest by which some runtime names it: of the index, of each platform's manifest, of each
   * config. All of them follow from the topmost one.
   */
  readonly names: ReadonlySet<string>
  /** Of the manifest for this machine. */
  readonly config: Digest
  /** Of the manifest for this machine, lowest first. */
  readonly layers: readonly Digest[]
}

interface Descriptor {
  readonly mediaType?: unknown
  readonly digest?: unknown
  readonly size?: unknown
  readonly platform?: { readonly os?: unknown; readonly architecture?: unknown }
}

interface Manifest {
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
  readonly manifests?: readonly Descriptor[]
}

/** How Go calls a machine that Node calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }

/** Gives where a blob of a layout is, from the layout's folder on. */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

/** Reads a layout. @throws {@link RolloutError} `ACTIVATION_FAILED` when it is none */
export async function readImageLayout(path: string): Promise<ImageLayout> {
  try {
    return await readLayout(path)
  } catch (cause) {
    const message = `the release is no image that can be run: ${messageOf(cause)}`
    throw new RolloutError("ACTIVATION_FAILED", message, { cause })
  }
}

async function readLayout(path: string): Promise<ImageLayout> {
  const top = partOf(listOf(await readManifest(join(path, "index.json")))[0] ?? {})
  const names = new Set<string>([top.digest])
  let manifest = await readManifest(join(path, blobName(top.digest)))
  if (manifest.manifests !== undefined) manifest = await chosenOf(path, manifest, names)
  const config = partOf(manifest.config ?? {}).digest
  names.add(config)
  const layers = (manifest.layers ?? []).map((layer) => partOf(layer).digest)
  return { path, top, names, config, layers }
}

/** Notes the names of all platforms that are here, and gives the manifest of this machine's. */
async function chosenOf(path: string, index: Manifest, names: Set<string>): Promise<Manifest> {
  let chosen: Manifest | undefined
  for (const one of listOf(index)) {
    const { digest } = partOf(one)
    const manifest = await readManifest(join(path, blobName(digest))).catch(() => undefined)
    // Other platforms of an index need not have been published.
    if (manifest === undefined || manifest.config === undefined) continue
    names.add(digest)
    names.add(partOf(manifest.config).digest)
    const { os, architecture } = one.platform ?? {}
    const wanted = ARCHITECTURES[process.arch] ?? process.arch
    if (os === "linux" && architecture === wanted) chosen ??= manifest
  }
  if (chosen !== undefined) return chosen
  throw new Error(`it has nothing for linux/${ARCHITECTURES[process.arch] ?? process.arch}`)
}

async function readManifest(path: string): Promise<Manifest> {
  await using file = await open(path, "r")
  const { size } = await file.stat()
  if (size > MANIFEST_BYTES_MAX)
    throw new Error(`${path} has more than ${MANIFEST_BYTES_MAX} bytes`)
  const value: unknown = JSON.parse(await file.readFile("utf8"))
  if (typeof value === "object" && value !== null) return value
  throw new Error(`${path} is no object`)
}

function listOf({ manifests }: Manifest): readonly Descriptor[] {
  if (Array.isArray(manifests) && manifests.length <= MANIFESTS_MAX) return manifests
  throw new Error(`no list of at most ${MANIFESTS_MAX} manifests`)
}

function partOf({ mediaType, digest, size }: Descriptor): ImagePart {
  const isText = typeof mediaType === "string" && typeof digest === "string"
  if (isText && isDigest(digest) && Number.isSafeInteger(size)) {
    return { mediaType, digest, sizeBytes: Number(size) }
  }
  throw new Error("a part without media type, digest and size")
}
