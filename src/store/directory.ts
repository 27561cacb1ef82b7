/**
 * Where the store's files are: `index/`, `blobs/sha256/<2 hex>/<hex>[.partial]`, `staging/`.
 * @module
 */
import { randomUUID } from "node:crypto"
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { unlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { syncFolder } from "../disk/durable-file.ts"
import { diskFault } from "./faults.ts"

const DIRECTORY_MODE = 0o700
export const FILE_MODE = 0o600
const PARTIAL_SUFFIX = ".partial"

/** A file below `blobs/` whose name is that of a blob. */
export interface BlobFile {
  readonly digest: Digest
  readonly isPartial: boolean
  readonly path: string
}

/** Gives where the bytes of a whole blob lie, for who reads a file rather than a blob. */
export function wholeBlobPath(root: string, digest: Digest): string {
  const hex = hexOf(digest)
  return join(root, "blobs", "sha256", hex.slice(0, 2), hex)
}

/** The data directory of one node, as far as it is the store's. */
export class Directory {
  readonly root: string
  readonly index: string
  readonly staging: string
  readonly #blobs: string
  /** At most 256: those that are known to be there, and those whose own name may not be durable. */
  readonly #fans = new Set<string>()
  readonly #unsynced = new Set<string>()

  /**
   * Makes what is missing and tries whether it can be written.
   * @throws StoreError `STORE_READ_ONLY`, `DISK_FULL`
   */
  constructor(root: string) {
    try {
      makeDirectory(root)
      this.root = realpathSync(root)
      this.index = join(this.root, "index")
      this.staging = join(this.root, "staging")
      this.#blobs = join(this.root, "blobs", "sha256")
      for (const path of [this.index, this.staging, this.#blobs]) {
        makeDirectory(path)
      }
      this.#probe()
    } catch (error) {
      throw diskFault(error)
    }
  }

  /** Gives the path of a blob's bytes; its directory is there. */
  blob(digest: Digest, isComplete: boolean): string {
    const hex = hexOf(digest)
    return `${this.#fan(digest)}/${isComplete ? hex : hex + PARTIAL_SUFFIX}`
  }

  /** Makes the name of a blob's file durable. */
  async syncName(digest: Digest): Promise<void> {
    const fan = this.#fan(digest)
    await syncFolder(fan)
    if (this.#unsynced.delete(fan)) await syncFolder(this.#blobs)
  }

  /** Gives a new path for bytes without a name yet. */
  staged(): string {
    return join(this.staging, randomUUID())
  }

  /** Removes what an earlier process was staging. */
  clearStaging(): number {
    const names = readdirSync(this.staging)
    for (const name of names) rmSync(join(this.staging, name), { recursive: true, force: true })
    return names.length
  }

  /** Gives all files that are named as blobs are; others are none of the store's. */
  *blobFiles(): Iterable<BlobFile> {
    for (const fan of readdirSync(this.#blobs)) {
      for (const name of readdirSync(join(this.#blobs, fan))) {
        const isPartial = name.endsWith(PARTIAL_SUFFIX)
        const hex = isPartial ? name.slice(0, -PARTIAL_SUFFIX.length) : name
        const digest = `sha256:${hex}`
        if (!isDigest(digest) || !hex.startsWith(fan)) continue
        yield { digest, isPartial, path: join(this.#blobs, fan, name) }
      }
    }
  }

  /** Gives the directory of a blob's file, and makes it when it is missing. */
  #fan(digest: Digest): string {
    const fan = `${this.#blobs}/${hexOf(digest).slice(0, 2)}`
    if (this.#fans.has(fan)) return fan
    if (mkdirSync(fan, { recursive: true, mode: DIRECTORY_MODE })) this.#unsynced.add(fan)
    this.#fans.add(fan)
    return fan
  }

  #probe(): void {
    const path = this.staged()
    writeFileSync(path, "", { mode: FILE_MODE })
    rmSync(path)
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE })
  } catch (error) {
    // On a read-only file system a recursive mkdir says ENOENT: ask for the true reason.
    let parent = path
    while (!existsSync(parent)) parent = dirname(parent)
    accessSync(parent, constants.W_OK)
    throw error
  }
}

/** Removes a file; nothing when it is not there. */
export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error
  }
}

/** Makes a sparse file of a size, or gives one that is there that size; takes no blocks yet. */
export function makeSparse(path: string, sizeBytes: number): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE)
  try {
    ftruncateSync(fd, sizeBytes)
  } finally {
    closeSync(fd)
  }
}
