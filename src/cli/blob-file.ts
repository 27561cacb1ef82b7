/**
 * Writes one blob to a file: beside the target first, renamed when its digest was verified.
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import { lstat, open, rename, rm } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { type Digest, hexOf } from "../core/digest.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import type { ControlClient } from "./control-client.ts"
import { CliError } from "./errors.ts"
import { outputExists } from "./local-file.ts"

/** Checks that a file may be written there. @throws CliError `OUTPUT_EXISTS` */
export async function checkFileTarget(path: string): Promise<void> {
  try {
    await lstat(path)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return
    throw unwritable(path, error)
  }
  throw outputExists(path)
}

/**
 * Writes a blob. The file is made whole or not at all.
 * @throws CliError `OUTPUT_EXISTS`, `OUTPUT_UNWRITABLE`, `OUTPUT_CORRUPT`
 */
export async function writeBlobFile(
  node: ControlClient,
  digest: Digest,
  path: string,
  options: { signal: AbortSignal },
): Promise<void> {
  const target = resolve(path)
  const staging = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  try {
    await copyTo(node, digest, staging, options)
    await checkFileTarget(path)
    await rename(staging, target)
  } catch (error) {
    await rm(staging, { force: true })
    options.signal.throwIfAborted()
    throw error instanceof CodedError ? error : unwritable(path, error)
  }
}

async function copyTo(
  node: ControlClient,
  digest: Digest,
  staging: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const hash = createHash("sha256")
  await using file = await open(staging, "wx")
  for await (const bytes of await node.bytes(`/v1/blobs/${digest}/content`)) {
    signal.throwIfAborted()
    hash.update(bytes)
    await file.writeFile(bytes)
  }
  if (hash.digest("hex") === hexOf(digest)) return
  throw new CliError("OUTPUT_CORRUPT", `the bytes of ${digest} arrived with another digest`)
}

function unwritable(path: string, cause: unknown): CliError {
  return new CliError("OUTPUT_UNWRITABLE", `cannot write ${path}: ${messageOf(cause)}`, { cause })
}
