/**
 * Hashes everything that the store has, and finds what it should not have.
 * @module
 */
import { createReadStream, statSync } from "node:fs"
import { codeOf } from "../core/errors.ts"
import type { BlobEntry } from "./blob-entry.ts"
import { type BlobFile, unlinkIfThere } from "./directory.ts"
import { identityOf } from "./file-identity.ts"
import { type IntakeDeps, ingest } from "./intake.ts"
import type { VerifyFinding } from "./store.ts"

interface VerifyOptions {
  readonly repair: boolean
  readonly signal?: AbortSignal
}

type Kind = VerifyFinding["kind"]

/** Goes through all blobs, then through the files that are none. */
export async function* verifyAll(
  deps: IntakeDeps,
  options: VerifyOptions,
): AsyncGenerator<VerifyFinding> {
  const { lifetime } = deps.ctx
  lifetime.check()
  const entries = deps.table.values()
  const foreign = foreignFiles(deps)
  const totalBytes = sum(entries.map((entry) => entry.sizeBytes)) + sum(foreign.map(sizeOf))
  let doneBytes = 0
  for (const entry of entries) {
    options.signal?.throwIfAborted()
    const kind = await lifetime.run(() => verifyEntry(deps, entry, options))
    doneBytes += entry.sizeBytes
    if (kind !== undefined) yield { digest: entry.digest, kind, doneBytes, totalBytes }
  }
  for (const file of foreign) {
    options.signal?.throwIfAborted()
    const sizeBytes = sizeOf(file)
    const isForeign = await lifetime.run(() => settleForeign(deps, file, options))
    doneBytes += sizeBytes
    if (isForeign) yield { digest: file.digest, kind: "foreign", doneBytes, totalBytes }
  }
}

/** @returns undefined when the blob was removed meanwhile */
async function verifyEntry(
  deps: IntakeDeps,
  entry: BlobEntry,
  options: VerifyOptions,
): Promise<Kind | undefined> {
  if (deps.table.get(entry.digest) !== entry) return undefined
  return deps.live.using(entry, async (blob) => {
    const isMissing = await isFileMissing(deps, entry)
    // What the pool has open may be a file that nobody finds any more.
    if (isMissing) deps.ctx.files.forget(entry.digest)
    const bad = await blob.reading.recheck(blob.present(), options.signal)
    if (bad.length === 0 && !isMissing) return "ok"
    if (options.repair && isMissing && entry.holdCount === 1) await deps.room.remove(entry)
    else if (options.repair) await blob.lose(bad)
    return isMissing ? "missing" : "corrupt"
  })
}

async function isFileMissing({ ctx }: IntakeDeps, entry: BlobEntry): Promise<boolean> {
  for (;;) {
    const epoch = entry.fileEpoch
    if (!entry.isComplete && !entry.isOnDisk) return false
    const identity = await identityOf(ctx.directory.blob(entry.digest, entry.isComplete))
    // If it moved meanwhile, its old place says nothing.
    if (entry.fileEpoch === epoch) return identity === undefined
  }
}

function foreignFiles(deps: IntakeDeps): BlobFile[] {
  return [...deps.ctx.directory.blobFiles()].filter((file) => isForeign(deps, file))
}

function isForeign({ table }: IntakeDeps, file: BlobFile): boolean {
  const entry = table.get(file.digest)
  return entry === undefined || entry.isComplete === file.isPartial
}

/** @returns false when the file turned out to be a blob's, or is gone */
async function settleForeign(
  deps: IntakeDeps,
  file: BlobFile,
  options: VerifyOptions,
): Promise<boolean> {
  // A change of this blob may be under way: after its end the file tells the truth.
  await deps.ctx.serial.run(file.digest, async () => {})
  if (!isForeign(deps, file) || (await identityOf(file.path)) === undefined) return false
  if (!options.repair) return true
  if (file.isPartial) await unlinkIfThere(file.path)
  else await adopt(deps, file, options.signal)
  return true
}

/** Takes in a whole file that no record names, if it is what its name says; else removes it. */
async function adopt(
  deps: IntakeDeps,
  file: BlobFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const signals = signal === undefined ? {} : { signal }
  try {
    const options = { expected: file.digest, isShared: false, ...signals }
    await ingest(deps, createReadStream(file.path), options)
  } catch (error) {
    if (codeOf(error) !== "DIGEST_MISMATCH") throw error
    await unlinkIfThere(file.path)
  }
}

function sizeOf(file: BlobFile): number {
  return statSync(file.path, { throwIfNoEntry: false })?.size ?? 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
