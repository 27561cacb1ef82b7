/**
 * Builds an image out of real files, by hand: tar layers, gzip, a config and a manifest
 * (OCI image spec 1.1). No root, no container engine.
 * @module
 */
import { createHash } from "node:crypto"
import { createReadStream, createWriteStream, readdirSync, statSync } from "node:fs"
import { mkdir, stat } from "node:fs/promises"
import { arch } from "node:os"
import { join } from "node:path"
import { Readable, Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import type { Pack } from "tar-stream"
import { type Digest, digestOf, digestOfRaw } from "../src/core/digest.ts"
import { randomChunks } from "./random-bytes.ts"

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
/** Fast rather than small: the demo is about moving bytes. */
const GZIP_LEVEL = 1

/** What one layer is made of. */
export type LayerRecipe =
  | { readonly name: string; readonly folders: readonly string[] }
  | { readonly name: string; readonly file: string }
  /** One small file, by its path in the image. */
  | { readonly name: string; readonly text: string; readonly path: string }
  | { readonly name: string; readonly randomBytes: number; readonly seed: number }

/** A blob as a manifest names it. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

/** An image that is ready to be served. */
export interface Image {
  readonly manifest: Uint8Array
  readonly manifestType: string
  readonly digest: Digest
  readonly layers: readonly (Descriptor & { readonly name: string })[]
  /** Config and layers, and where their bytes lie. */
  readonly blobs: ReadonlyMap<Digest, { readonly path: string; readonly size: number }>
  /** Config and layers. */
  readonly sizeBytes: number
}

/** Encodes an image for another process of this machine; the blobs stay where they lie. */
export function encodeImage(image: Image): string {
  const manifest = Buffer.from(image.manifest).toString("base64")
  return JSON.stringify({ ...image, manifest, blobs: [...image.blobs] })
}

/** Reads what {@link encodeImage} wrote. */
export function parseImage(text: string): Image {
  const { manifest, blobs, ...image } = JSON.parse(text)
  return { ...image, manifest: Buffer.from(manifest, "base64"), blobs: new Map(blobs) }
}

const COMMAND: readonly string[] = ["/usr/bin/node", "/app/bin/sealift.js", "node"]

/**
 * Builds the image; its blobs are written to `folder`.
 * @param command - what it runs, unless that is the project itself
 */
export async function buildImage(
  folder: string,
  recipes: readonly LayerRecipe[],
  command: readonly string[] = COMMAND,
): Promise<Image> {
  await mkdir(folder, { recursive: true })
  const built = []
  for (const [index, recipe] of recipes.entries()) {
    built.push(await buildLayer(recipe, join(folder, `layer-${index}.tar.gz`)))
  }
  const config = encodeConfig(
    built.map(({ diffId }) => diffId),
    command,
  )
  const configPath = join(folder, "config.json")
  await pipeline(Readable.from([config]), createWriteStream(configPath))
  const configEntry = { mediaType: CONFIG_TYPE, digest: digestOf(config), size: config.length }
  const layers = built.map(({ name, descriptor }) => ({ name, ...descriptor }))
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: configEntry,
      layers: built.map(({ descriptor }) => descriptor),
    }),
  )
  const blobs = new Map([[configEntry.digest, { path: configPath, size: config.length }]])
  for (const { descriptor, path } of built) {
    blobs.set(descriptor.digest, { path, size: descriptor.size })
  }
  return {
    manifest,
    manifestType: MANIFEST_TYPE,
    digest: digestOf(manifest),
    layers,
    blobs,
    sizeBytes: layers.reduce((sum, { size }) => sum + size, config.length),
  }
}

function encodeConfig(diffIds: readonly Digest[], command: readonly string[]): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      architecture: arch() === "x64" ? "amd64" : arch(),
      os: "linux",
      config: { Cmd: command },
      rootfs: { type: "layers", diff_ids: diffIds },
    }),
  )
}

async function buildLayer(recipe: LayerRecipe, path: string) {
  const tar = await openTar()
  const filling = fill(tar, recipe).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  )
  const [whole, packed] = [createHash("sha256"), createHash("sha256")]
  await pipeline(
    tar,
    hashing(whole),
    createGzip({ level: GZIP_LEVEL }),
    hashing(packed),
    createWriteStream(path),
  )
  await filling
  const { size } = await stat(path)
  const digest = digestOfRaw(packed.digest())
  const descriptor: Descriptor = { mediaType: LAYER_TYPE, digest, size }
  return { name: recipe.name, path, diffId: digestOfRaw(whole.digest()), descriptor }
}

/** The package that writes layers comes with the repository alone. */
async function openTar(): Promise<Tar> {
  try {
    return (await import("tar-stream")).pack()
  } catch (error) {
    const message = "this scenario needs the package tar-stream; npm install tar-stream@3"
    throw new Error(message, { cause: error })
  }
}

/** Passes bytes on and hashes them. */
function hashing(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk)
      done(undefined, chunk)
    },
  })
}

type Tar = Pack

async function fill(tar: Tar, recipe: LayerRecipe): Promise<void> {
  if ("randomBytes" in recipe) {
    const chunks = Readable.from(randomChunks(recipe.randomBytes, recipe.seed))
    return addEntry(tar, { name: "srv/weights.bin", size: recipe.randomBytes, mode: 0o644 }, chunks)
  }
  if ("text" in recipe) {
    const body = Buffer.from(recipe.text)
    const head = { name: recipe.path, size: body.length, mode: 0o644 }
    return addEntry(tar, head, Readable.from([body]))
  }
  if ("file" in recipe) {
    const { size, mode } = statSync(recipe.file)
    return addEntry(tar, { name: "usr/bin/node", size, mode }, createReadStream(recipe.file))
  }
  for (const path of recipe.folders.flatMap(filesBelow)) {
    const { size, mode } = statSync(path)
    await addEntry(tar, { name: join("app", path), size, mode }, createReadStream(path))
  }
}

/** Gives the plain files below a folder, in an order that is the same everywhere. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function addEntry(
  tar: Tar,
  head: { name: string; size: number; mode: number },
  body: Readable,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // One date for all: equal files give an equal layer.
    const entry = tar.entry({ ...head, mtime: new Date(0) }, (error) =>
      error ? reject(error) : resolve(),
    )
    body.on("error", reject)
    body.pipe(entry)
  })
}
