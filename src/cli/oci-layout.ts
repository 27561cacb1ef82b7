/**
 * Writes an image as an OCI image layout (OCI image spec 1.1, image-layout.md): into a directory
 * beside the target first, renamed when every blob was verified.
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import { open, readdir, rename, rm, rmdir, writeFile } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import type { Descriptor, ImageLine } from "../api/api.ts"
import { LAYOUT_MARK, layoutIndexOf, layoutManifests } from "../api/layout-index.ts"
import { hexOf } from "../core/digest.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import type { ControlClient } from "./control-client.ts"
import { CliError } from "./errors.ts"

const DIRECTORY_MODE = 0o755

/** Checks that a layout may be written there. @throws CliError `OUTPUT_EXISTS` */
export async function checkLayoutTarget(path: string): Promise<void> {
  const names = await readdir(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return []
    if (codeOf(error) === "ENOTDIR") return [basename(path)]
    throw unwritable(path, error)
  })
  if (names.length === 0) return
  throw new CliError("OUTPUT_EXISTS", `${path} exists and is not an empty directory`, {
    details: { path },
  })
}

/**
 * Writes a layout. The target is made whole or not at all.
 * @throws CliError `OUTPUT_EXISTS`, `OUTPUT_UNWRITABLE`, `OUTPUT_CORRUPT`
 */
export async function writeLayout(
  node: ControlClient,
  image: ImageLine,
  path: string,
  options: { signal: AbortSignal },
): Promise<void> {
  const target = resolve(path)
  const staging = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  try {
    await makeDirectories(join(staging, "blobs", "sha256"), DIRECTORY_MODE)
    for (const blob of [...layoutManifests(image), ...image.blobs]) {
      options.signal.throwIfAborted()
      await writeBlob(node, staging, blob)
    }
    await writeFile(join(staging, "oci-layout"), LAYOUT_MARK)
    await writeFile(join(staging, "index.json"), JSON.stringify(layoutIndexOf(image)))
    await checkLayoutTarget(path)
    await rmdir(target).catch(() => {
      // There was none, which is the usual case.
    })
    await rename(staging, target)
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    options.signal.throwIfAborted()
    throw error instanceof CodedError ? error : unwritable(path, error)
  }
}

async function writeBlob(node: ControlClient, staging: string, blob: Descriptor): Promise<void> {
  const hex = hexOf(blob.digest)
  const hash = createHash("sha256")
  await using file = await open(join(staging, "blobs", "sha256", hex), "wx")
  for await (const bytes of await node.bytes(`/v1/blobs/${blob.digest}/content`)) {
    hash.update(bytes)
    await file.writeFile(bytes)
  }
  if (hash.digest("hex") === hex) return
  throw new CliError("OUTPUT_CORRUPT", `the bytes of ${blob.digest} arrived with another digest`)
}

function unwritable(path: string, cause: unknown): CliError {
  return new CliError("OUTPUT_UNWRITABLE", `cannot write ${path}: ${messageOf(cause)}`, { cause })
}
