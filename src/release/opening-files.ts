/**
 * The files of a release on their way out of the store: opened, or copied where they are plain.
 * @module
 */
import type { FileHandle } from "node:fs/promises"
import { rm } from "node:fs/promises"
import { type Digest, digestOfRaw } from "../core/digest.ts"
import type { BagFile } from "../seal/bag.ts"
import { SealError } from "../seal/errors.ts"
import { openFile } from "../seal/open-file.ts"
import type { PayloadPool } from "../seal/payload-pool.ts"
import { writeUnfinished } from "../seal/quarantine.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"
import { bytesOf, withBlob } from "../store/whole-blob.ts"
import type { FilePlacing } from "./file-placing.ts"
import type { PlainFile } from "./release-file.ts"
import type { Watch } from "./releases.ts"

export interface OpeningDeps {
  readonly store: BlobStore
  readonly pool: PayloadPool
  /** Where the bytes of a whole blob lie, so that they need not be copied first. */
  readonly blobPath?: ((digest: Digest) => string) | undefined
}

/** Opens files, one after the other: the pool has all cores on each. Nothing is placed unopened. */
export async function openSealedFiles(
  deps: OpeningDeps,
  files: readonly BagFile[],
  { placing, watch }: { readonly placing: FilePlacing; readonly watch: Watch },
): Promise<void> {
  const progress = progressOf(files, watch)
  for (const file of files) {
    const { cipher, key, sizeBytes } = file
    const digest = digestOfRaw(cipher)
    const opened = await withBlob(deps.store, digest, async (reader) => {
      const { signal } = watch
      const source = deps.blobPath?.(digest) ?? (await copyOut(reader, placing, signal))
      try {
        const what = { source, fileKey: key, folder: placing.parts, onProgress: progress.within }
        return await openFile(deps, what, { signal })
      } finally {
        if (deps.blobPath === undefined) await rm(source)
      }
    })
    // The file on the disk has another length than the blob: its last chunk is no proof of the whole.
    if (opened.plainBytes !== sizeBytes) {
      throw new SealError("PAYLOAD_CORRUPT", `${digest} has another length on the disk`)
    }
    await placing.place(opened.path, file, watch)
    progress.next(sizeBytes)
  }
}

/** Copies plain files; each byte is checked when it is read. */
export async function copyPlainFiles(
  { store }: Pick<OpeningDeps, "store">,
  files: readonly PlainFile[],
  { placing, watch }: { readonly placing: FilePlacing; readonly watch: Watch },
): Promise<void> {
  const progress = progressOf(files, watch)
  for (const file of files) {
    const copy = await withBlob(store, file.digest, (reader) =>
      copyOut(reader, placing, watch.signal, progress.within),
    )
    await placing.place(copy, file, watch)
    progress.next(file.sizeBytes)
  }
}

async function copyOut(
  reader: BlobReader,
  { parts }: Pick<FilePlacing, "parts">,
  signal: AbortSignal,
  onProgress?: (doneBytes: number) => void,
): Promise<string> {
  return await writeUnfinished(parts, async (file: FileHandle) => {
    let doneBytes = 0
    for await (const bytes of bytesOf(reader, signal)) {
      await file.writeFile(bytes)
      doneBytes += bytes.length
      onProgress?.(doneBytes)
    }
    return doneBytes
  })
}

function progressOf(
  files: readonly { readonly sizeBytes: number }[],
  { onProgress }: Watch,
): { within: (doneBytes: number) => void; next: (sizeBytes: number) => void } {
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let before = 0
  const within = (doneBytes: number) => {
    onProgress({ phase: "opening", doneBytes: before + doneBytes, totalBytes })
  }
  const next = (sizeBytes: number) => {
    before += sizeBytes
    within(0)
  }
  return { within, next }
}
