/**
 * Brings files and index together again after a crash, at the start. What neither proves goes; bytes
 * of a partial blob are trusted no further than their SHA-256.
 * @module
 */
import { renameSync, rmSync } from "node:fs"
import type { Digest } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import { BlobEntry } from "./blob-entry.ts"
import type { BlobIndex, BlobRecord } from "./blob-index.ts"
import type { BlobFile, Directory } from "./directory.ts"

interface Files {
  complete?: BlobFile
  partial?: BlobFile
}

/** What one blob's record and files make together. */
type Repair =
  | { readonly kind: "keep" }
  /** The file is at the place of the other state: it moves to where the record says. */
  | { readonly kind: "move-back" }
  /** The record says complete, but the file was on its way to partial: its pieces are rehashed. */
  | { readonly kind: "demote" }
  | { readonly kind: "drop" }

/** Reads the index, repairs, and gives the blobs that are there. */
export async function recover(deps: {
  directory: Directory
  index: BlobIndex
  log: Logger
}): Promise<BlobEntry[]> {
  const { directory, index, log } = deps
  const stagedCount = directory.clearStaging()
  const files = filesByDigest(directory)
  const entries: BlobEntry[] = []
  for await (const [digest, record] of index.blobs()) {
    const found = files.get(digest) ?? {}
    files.delete(digest)
    const entry = record && (await repairBlob(deps, record, found))
    if (entry === undefined) await dropBlob(deps, digest, found)
    else entries.push(entry)
  }
  const foreignCount = removeForeign(files, { isIndexNew: index.isNew })
  if (index.isNew) await index.begin()
  log.info({ blobs: entries.length, stagedCount, foreignCount }, "opened the store")
  return entries
}

/** Gives the files below `blobs/`, by their names. */
function filesByDigest(directory: Directory): Map<Digest, Files> {
  const files = new Map<Digest, Files>()
  for (const file of directory.blobFiles()) {
    const known = files.get(file.digest) ?? {}
    if (file.isPartial) known.partial = file
    else known.complete = file
    files.set(file.digest, known)
  }
  return files
}

function judge(record: BlobRecord, found: Files): Repair {
  const own = record.isComplete ? found.complete : found.partial
  if (own !== undefined) return { kind: "keep" }
  if (record.isComplete) return { kind: found.partial === undefined ? "drop" : "demote" }
  return { kind: found.complete === undefined ? "drop" : "move-back" }
}

async function repairBlob(
  deps: { directory: Directory; index: BlobIndex },
  record: BlobRecord,
  found: Files,
): Promise<BlobEntry | undefined> {
  const { directory, index } = deps
  const { digest } = record
  const repair = judge(record, found)
  if (repair.kind === "drop") return undefined
  if (repair.kind === "move-back") {
    renameSync(directory.blob(digest, true), directory.blob(digest, false))
  }
  if (repair.kind === "keep") removeOther(record, found)
  if (repair.kind === "demote") return demote(index, record)
  const entry = new BlobEntry(record)
  if (!entry.isComplete) await loadPieces(index, entry)
  return entry
}

/** Removes a file of the state that the record does not name. */
function removeOther(record: BlobRecord, found: Files): void {
  const other = record.isComplete ? found.partial : found.complete
  if (other !== undefined) rmSync(other.path)
}

async function demote(index: BlobIndex, record: BlobRecord): Promise<BlobEntry> {
  const list = index.list(record.digest) ?? new Uint8Array(0)
  // No boot has this id, so the pieces are rehashed before they are built on.
  const partial = { ...record, isComplete: false, bootId: "" }
  await index.demote(partial, list, () => true)
  const entry = new BlobEntry(partial)
  await loadPieces(index, entry)
  return entry
}

async function loadPieces(index: BlobIndex, entry: BlobEntry): Promise<void> {
  for await (const [piece] of index.pieces(entry.digest)) {
    if (piece < entry.layout.count) entry.pieces.add(piece)
  }
}

async function dropBlob(
  deps: { index: BlobIndex; log: Logger },
  digest: Digest,
  found: Files,
): Promise<void> {
  deps.log.warn({ digest }, "a blob of the index has no file")
  const pieces: number[] = []
  for await (const [piece] of deps.index.pieces(digest)) pieces.push(piece)
  await deps.index.remove(digest, pieces)
  for (const file of [found.complete, found.partial]) if (file !== undefined) rmSync(file.path)
}

/**
 * Removes files that no record names: a crash came between rename and index, or between index and
 * unlink. But when the index itself was lost, whole files stay: `verify` can take them in again.
 */
function removeForeign(files: Map<Digest, Files>, options: { isIndexNew: boolean }): number {
  let count = 0
  for (const { complete, partial } of files.values()) {
    if (partial !== undefined) rmSync(partial.path)
    if (complete === undefined || options.isIndexNew) continue
    rmSync(complete.path)
    count++
  }
  return count
}
