/**
 * Whether the bytes of a release on this node are right: as they are stored, and as they come out.
 * @module
 */
import { createHash } from "node:crypto"
import { digestOfRaw } from "../core/digest.ts"
import { CodedError } from "../core/errors.ts"
import type { BagFile } from "../seal/bag.ts"
import { createPayloadReader } from "../seal/payload-reader.ts"
import { erase, isSame } from "../seal/release-key.ts"
import { StoreError } from "../store/errors.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"
import { isStoredRight, withBlob } from "../store/whole-blob.ts"
import { decideNow, standingOf } from "./opening-standing.ts"
import type { CarriedFile } from "./release.ts"
import type { KnownRelease, Watch } from "./releases.ts"
import { labelsHere } from "./staging.ts"
import { type UnsealingDeps, unsealRelease } from "./unsealing.ts"
import { chooseVariant } from "./variant.ts"

const READ_BYTES: number = 1024 * 1024

/** What was found of some files. */
export interface Verdict {
  readonly rule: string
  readonly isMet: boolean
  readonly by: string
  /** Digests or paths. */
  readonly wrong: readonly string[]
}

/** Reads all that is here of some files, and hashes it. */
export async function verifyStoredFiles(
  store: BlobStore,
  files: readonly CarriedFile[],
  { signal, onProgress }: Watch,
): Promise<Verdict> {
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const wrong: string[] = []
  let rightCount = 0
  let doneBytes = 0
  for (const { digest, sizeBytes } of files) {
    if (store.stat(digest)?.isComplete === true) {
      const isRight = await isStoredRight(store, digest, { signal })
      if (isRight) rightCount++
      else wrong.push(digest)
    }
    doneBytes += sizeBytes
    onProgress({ phase: "verifying", doneBytes, totalBytes })
  }
  const rule = "every byte of this node's files is here and right"
  const by = `${rightCount} of ${files.length} files`
  return { rule, isMet: files.length > 0 && rightCount === files.length, by, wrong }
}

/**
 * Opens the files of this node's variant in memory, part by part, and compares what comes out with
 * what the bag says.
 */
export async function verifyPlainFiles(
  deps: UnsealingDeps & { readonly store: BlobStore },
  known: KnownRelease,
  watch: Watch,
): Promise<Verdict> {
  const rule = "every file opens to what was sealed"
  if (known.release.said.content.visibility !== "sealed") {
    return { rule, isMet: true, by: "nothing is sealed", wrong: [] }
  }
  let bag: readonly BagFile[] = []
  try {
    const standing = await standingOf(deps, known)
    const devices = await decideNow(deps, known, watch)
    const confirmed = { known, standing, devices }
    const begun = { ...confirmed, confirmed: Promise.resolve(confirmed), onGranted: () => {} }
    bag = await unsealRelease(deps, begun, watch)
    const variant = chooseVariant(known.release.said.variants, labelsHere(deps.fleet))
    const files = variant.files.map((place) => bag[place]!)
    const wrong = await wrongFilesOf(deps.store, files, watch)
    const by = `${files.length - wrong.length} of ${files.length} files`
    return { rule, isMet: wrong.length === 0, by, wrong }
  } catch (error) {
    watch.signal.throwIfAborted()
    if (!(error instanceof CodedError)) throw error
    return { rule, isMet: false, by: `${error.code}: ${error.message}`, wrong: [] }
  } finally {
    erase(bag.map(({ key }) => key))
  }
}

async function wrongFilesOf(
  store: BlobStore,
  files: readonly BagFile[],
  { signal, onProgress }: Watch,
): Promise<readonly string[]> {
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const wrong: string[] = []
  let doneBytes = 0
  for (const file of files) {
    const isRight = await withBlob(store, digestOfRaw(file.cipher), (reader) =>
      faultless(() => isPlainRight(reader, file, signal), signal),
    )
    if (!isRight) wrong.push(file.path)
    doneBytes += file.sizeBytes
    onProgress({ phase: "opening", doneBytes, totalBytes })
  }
  return wrong
}

async function isPlainRight(
  reader: BlobReader,
  file: BagFile,
  signal: AbortSignal,
): Promise<boolean> {
  const source = {
    read: async (at: number, target: Uint8Array) => {
      await reader.read({ start: at, end: at + target.length }, target)
    },
  }
  // The last chunk is opened first: of an empty file it is all that there is to check.
  const about = { fileKey: file.key, cipherBytes: reader.layout.sizeBytes, isLengthProved: false }
  const payload = await createPayloadReader(source, about, { signal })
  const hash = createHash("sha256")
  const buffer = new Uint8Array(Math.min(READ_BYTES, payload.plainBytes))
  for (let at = 0; at < payload.plainBytes; at += READ_BYTES) {
    const part = buffer.subarray(0, Math.min(READ_BYTES, payload.plainBytes - at))
    await payload.read(at, part, { signal })
    hash.update(part)
  }
  erase([buffer])
  return isSame(hash.digest(), file.plain)
}

/** Takes a fault of the bytes for a no; any other goes on. */
async function faultless(work: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    const isOfBytes =
      error instanceof CodedError && ["PAYLOAD_CORRUPT", "BLOB_CORRUPT"].includes(error.code)
    if (isOfBytes || (error instanceof StoreError && error.code === "PIECE_MISSING")) return false
    throw error
  }
}
