/**
 * Target files: where they lie, and that they are what their role signed
 * (protocol/tuf-profile.md §4, §5).
 * @module
 */
import { Readable } from "node:stream"
import type { TargetFile } from "@tufjs/models"
import { isSha256Hex } from "../../core/digest.ts"
import { messageOf } from "../../core/errors.ts"
import { TrustError } from "../errors.ts"
import { readFrom, readNeeded } from "./source-reading.ts"
import { TARGET_BYTES_MAX } from "./tuf-limits.ts"
import type { TufFiles, TufSource } from "./tuf-source.ts"

/**
 * Gives the name of a target file in a repository: its digest stands before the last part of its
 * path.
 * @param digest - undefined: without consistent snapshots
 */
export function targetName(path: string, digest: string | undefined): string {
  const start = path.lastIndexOf("/") + 1
  const prefix = digest === undefined ? "" : `${digest}.`
  return `targets/${path.slice(0, start)}${prefix}${path.slice(start)}`
}

/** Gives the name under which a reader keeps a target file; undefined when it is not kept. */
export function keptTargetName(file: TargetFile): string | undefined {
  const digest = file.hashes.sha256
  return digest !== undefined && isSha256Hex(digest) ? `targets/${digest}` : undefined
}

/** Where to read from. */
export interface TargetReading {
  /** Where files that were read once are kept. */
  readonly files: TufFiles
  /** Undefined: only what is kept. */
  readonly source: TufSource | undefined
  readonly isConsistent: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads a target file, and keeps it.
 * @returns its bytes, checked; undefined when it is not kept and there is no source
 * @throws {@link TrustError} `TUF_TARGET_WRONG`, `TUF_TOO_LARGE`, `SOURCE_UNAVAILABLE`
 */
export async function readTarget(
  file: TargetFile,
  { files, source, isConsistent, signal }: TargetReading,
): Promise<Uint8Array | undefined> {
  if (file.length > TARGET_BYTES_MAX) {
    throw new TrustError("TUF_TOO_LARGE", `${file.path} is said to have ${file.length} bytes`)
  }
  const limits = { bytesMax: file.length, signal }
  const keptName = keptTargetName(file)
  const kept = keptName === undefined ? undefined : await readFrom(files, keptName, limits)
  if (kept !== undefined && (await isRight(file, kept))) return kept
  if (source === undefined) return undefined
  const digest = file.hashes.sha256 ?? Object.values(file.hashes)[0]
  const name = targetName(file.path, isConsistent ? digest : undefined)
  const bytes = await readNeeded(source, name, limits)
  await verifyTarget(file, bytes)
  if (keptName !== undefined) await files.write(keptName, bytes)
  return bytes
}

async function isRight(file: TargetFile, bytes: Uint8Array): Promise<boolean> {
  try {
    await verifyTarget(file, bytes)
    return true
  } catch {
    // Broken on the disk: it is read anew.
    return false
  }
}

/**
 * Checks the length and every digest of a target file.
 * @throws {@link TrustError} `TUF_TARGET_WRONG`
 */
export async function verifyTarget(file: TargetFile, bytes: Uint8Array): Promise<void> {
  // The library takes any bytes of the right length when there is no digest at all.
  if (Object.keys(file.hashes).length === 0) {
    throw new TrustError("TUF_TARGET_WRONG", `${file.path} is signed without a digest`)
  }
  try {
    await file.verify(Readable.from([bytes], { objectMode: true }))
  } catch (cause) {
    throw new TrustError("TUF_TARGET_WRONG", `${file.path}: ${messageOf(cause)}`, { cause })
  }
}
