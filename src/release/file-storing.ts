/**
 * Brings the files of a new release into the store: sealed one by one, or as they are
 * (protocol/key-schedule.md §5, publishing 1).
 * @module
 */
import { createHash } from "node:crypto"
import { constants, createReadStream } from "node:fs"
import { type FileHandle, open, rm } from "node:fs/promises"
import { encodeHex } from "../core/byte-text.ts"
import { type Digest, digestOfRaw } from "../core/digest.ts"
import type { BagFile } from "../seal/bag.ts"
import { newFileKey } from "../seal/payload.ts"
import type { PayloadPool } from "../seal/payload-pool.ts"
import { erase } from "../seal/release-key.ts"
import { sealFile } from "../seal/seal-file.ts"
import type { BlobReader, BlobStat, BlobStore } from "../store/store.ts"
import type { AssetFile } from "./asset-collection.ts"
import type { PlainFile } from "./release-file.ts"
import type { Watch } from "./releases.ts"

export interface FileStoringDeps {
  readonly store: BlobStore
  readonly pool: PayloadPool
}

export interface FileStoringOptions {
  /** Where ciphertexts lie until the store has them; on the disk of the data. */
  readonly folder: string
  readonly files: readonly AssetFile[]
  readonly watch: Watch
}

/** Files on their way into the store. What it holds stays until {@link close}. */
export class FileStoring {
  readonly #deps: FileStoringDeps
  readonly #options: FileStoringOptions
  readonly #leases: BlobReader[] = []
  readonly #fresh = new Set<Digest>()
  readonly #totalBytes: number
  #sealedBytes = 0
  #storedBytes = 0
  /** Files whose ciphertext is that of an earlier release. */
  reusedCount = 0

  constructor(deps: FileStoringDeps, options: FileStoringOptions) {
    this.#deps = deps
    this.#options = options
    this.#totalBytes = options.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  /**
   * Seals what has no ciphertext yet.
   * @param earlier - files whose keys may be used again
   * @returns the files in order; their keys are the caller's to erase
   * @throws {@link SealError} `PAYLOAD_CHANGED`, `PAYLOAD_LENGTH_INVALID`
   * @throws StoreError `QUOTA_EXCEEDED`, `DISK_FULL`; Error a fault of the file system
   */
  async seal(earlier: readonly BagFile[]): Promise<readonly BagFile[]> {
    const done: BagFile[] = []
    try {
      for (const file of this.#options.files) done.push(await this.#sealOne(file, earlier, done))
      return done
    } catch (error) {
      erase(done.map(({ key }) => key))
      throw error
    }
  }

  /** Stores files as they are. */
  async storePlain(): Promise<readonly PlainFile[]> {
    const stored: PlainFile[] = []
    for (const asset of this.#options.files) {
      const { source } = asset
      await using file = await openNoLink(source)
      const { digest, layout } = await this.#store(file.createReadStream({ autoClose: false }))
      stored.push({ digest, sizeBytes: layout.sizeBytes, ...aboutOf(asset) })
    }
    return stored
  }

  /** Lets go of everything; what is not pinned by then may be swept. */
  close(): void {
    for (const lease of this.#leases.splice(0)) lease.release()
  }

  /** Takes out of the store what was brought in, as far as nobody else holds it. */
  async undo(): Promise<void> {
    this.close()
    for (const digest of this.#fresh) await this.#deps.store.remove(digest).catch(() => false)
  }

  async #sealOne(
    file: AssetFile,
    earlier: readonly BagFile[],
    done: readonly BagFile[],
  ): Promise<BagFile> {
    await using source = await openNoLink(file.source)
    const about = aboutOf(file)
    const known = await this.#knownOf(source, [...done, ...earlier])
    if (known !== undefined) {
      this.#sealed(file.sizeBytes)
      this.#stored(file.sizeBytes)
      if (earlier.includes(known)) this.reusedCount++
      const { cipher, sizeBytes, plain } = known
      return { cipher, key: Uint8Array.from(known.key), sizeBytes, plain, ...about }
    }
    const key = newFileKey()
    try {
      const sealed = await this.#sealSource(source, key)
      const { plainBytes: sizeBytes, plainSha256: plain, cipherSha256: cipher } = sealed
      return { cipher, key, sizeBytes, plain, ...about }
    } catch (error) {
      erase([key])
      throw error
    }
  }

  /** Finds a file with the same content whose ciphertext is in the store, and holds that. */
  async #knownOf(source: FileHandle, known: readonly BagFile[]): Promise<BagFile | undefined> {
    const { size } = await source.stat()
    const candidates = known.filter(({ sizeBytes }) => sizeBytes === size)
    if (candidates.length === 0) return undefined
    const hash = createHash("sha256")
    const { signal } = this.#options.watch
    for await (const part of source.createReadStream({ autoClose: false, start: 0, signal })) {
      hash.update(part as Uint8Array)
    }
    const plain = hash.digest("hex")
    return candidates.find((file) => encodeHex(file.plain) === plain && this.#hold(file))
  }

  #hold({ cipher }: BagFile): boolean {
    const { store } = this.#deps
    const digest = digestOfRaw(cipher)
    if (store.stat(digest)?.isComplete !== true) return false
    const lease = store.open(digest)
    if (lease !== undefined) this.#leases.push(lease)
    return lease !== undefined
  }

  async #sealSource(
    source: FileHandle,
    fileKey: Uint8Array,
  ): Promise<Awaited<ReturnType<typeof sealFile>>> {
    const { folder, watch } = this.#options
    const before = this.#sealedBytes
    const sealed = await sealFile(
      this.#deps,
      {
        source: source.fd,
        fileKey,
        folder,
        onProgress: (doneBytes) => this.#sealed(before + doneBytes - this.#sealedBytes),
      },
      { signal: watch.signal },
    )
    try {
      const expected = digestOfRaw(sealed.cipherSha256)
      await this.#store(createReadStream(sealed.path), expected)
    } finally {
      await rm(sealed.path, { force: true })
    }
    return sealed
  }

  async #store(parts: AsyncIterable<Uint8Array>, expected?: Digest): Promise<BlobStat> {
    const { store } = this.#deps
    const { signal } = this.#options.watch
    const wasThere = expected !== undefined && store.stat(expected)?.isComplete === true
    const stat = await store.ingest(this.#counted(parts), {
      ...(expected !== undefined && { expected }),
      isShared: true,
      signal,
    })
    const lease = store.open(stat.digest)
    if (lease !== undefined) this.#leases.push(lease)
    if (!wasThere && expected !== undefined) this.#fresh.add(stat.digest)
    return stat
  }

  async *#counted(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const part of parts) {
      yield part
      this.#stored(part.length)
    }
  }

  #sealed(bytes: number): void {
    this.#sealedBytes += bytes
    this.#tell("sealing", this.#sealedBytes)
  }

  #stored(bytes: number): void {
    this.#storedBytes += bytes
    this.#tell("storing", this.#storedBytes)
  }

  /** A ciphertext is a little longer than its plaintext, which is what is counted. */
  #tell(phase: string, doneBytes: number): void {
    const totalBytes = this.#totalBytes
    this.#options.watch.onProgress({
      phase,
      doneBytes: Math.min(doneBytes, totalBytes),
      totalBytes,
    })
  }
}

/** What a release says of a file whose bytes it names otherwise. */
function aboutOf({
  path,
  mediaType,
  mode,
  unpack,
}: AssetFile): Pick<PlainFile, "path" | "mediaType" | "mode" | "unpack"> {
  return { path, mediaType, mode, ...(unpack !== undefined && { unpack }) }
}

/** The file that was collected, and not what a link leads to that took its place. */
async function openNoLink(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
}
