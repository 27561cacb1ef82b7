/**
 * Gives the files of a release their places in quarantine: each as it is, or, of an archive, what is
 * in it, in the folder where it would lie (protocol/release.md §5, unpacking).
 * @module
 */
import { rm } from "node:fs/promises"
import {
  ARCHIVE_ENTRIES_MAX,
  type ArchiveMark,
  type ArchiveType,
  isArchiveType,
} from "../core/archive-mark.ts"
import { PathSet } from "../core/asset-path.ts"
import { assert } from "../core/errors.ts"
import { writeUnfinished } from "../seal/quarantine.ts"
import { type ArchivedFile, readArchive } from "./archive-reading.ts"
import { ReleaseError } from "./errors.ts"
import type { Quarantine } from "./opening-folder.ts"

/** An archive of which nobody said how much is in it may be unpacked to so many times its length … */
const RATIO_MAX = 100
/** … and in any case to so many bytes. */
const FREE_BYTES: number = 1024 * 1024

/** A file that comes out of a release. */
export interface OutgoingFile {
  readonly path: string
  readonly mode: number
  readonly mediaType: string
  readonly sizeBytes: number
  readonly unpack?: ArchiveMark | undefined
}

/** Which archives are unpacked: those that the publisher marked, all, or none. */
export type UnpackChoice = "marked" | "all" | "none"

/** The places of one opening. */
export class FilePlacing {
  /** Files that have their place. */
  placedCount = 0
  /** On the file system of the places, for files that are not whole yet. */
  readonly parts: string
  readonly #quarantine: Quarantine
  readonly #choice: UnpackChoice
  readonly #paths = new PathSet()

  /**
   * @param files - all that come
   * @throws {@link ReleaseError} `ARCHIVE_REFUSED` if all archives shall be unpacked, and none comes
   */
  constructor(quarantine: Quarantine, files: readonly OutgoingFile[], choice: UnpackChoice) {
    this.#quarantine = quarantine
    this.#choice = choice
    this.parts = quarantine.parts
    const kept = files.filter((file) => !this.#isUnpacked(file))
    if (choice === "all" && kept.length === files.length) {
      throw new ReleaseError("ARCHIVE_REFUSED", "none of its files is an archive to unpack")
    }
    for (const { path } of kept) {
      assert(this.#paths.addFile(path) === undefined, "paths of a release are safe and distinct")
    }
  }

  /**
   * Places a file that is whole; nothing of it stays in the parts.
   * @throws {@link ReleaseError} `ARCHIVE_REFUSED`; Error a fault of the file system
   */
  async place(
    source: string,
    file: OutgoingFile,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { mediaType } = file
    if (this.#isUnpacked(file) && isArchiveType(mediaType)) {
      await this.#unpack(source, { ...file, mediaType }, signal)
      await rm(source)
      return
    }
    await this.#quarantine.place(source, file)
    this.placedCount++
  }

  #isUnpacked({ mediaType, unpack }: OutgoingFile): boolean {
    if (this.#choice === "marked") return unpack !== undefined
    return this.#choice === "all" && isArchiveType(mediaType)
  }

  async #unpack(
    source: string,
    file: OutgoingFile & { readonly mediaType: ArchiveType },
    signal: AbortSignal,
  ): Promise<void> {
    const { mediaType, path, unpack: said } = file
    const base = path.slice(0, path.lastIndexOf("/") + 1)
    const limits = said ?? limitsOf(file)
    const options = { mediaType, limits, base, paths: this.#paths, signal }
    const found = await readArchive(source, options, {
      folder: (folder) => this.#quarantine.makeFolder(folder),
      file: (archived) => this.#placeArchived(archived),
    })
    const isOther = found.entries !== limits.entries || found.sizeBytes !== limits.sizeBytes
    if (said !== undefined && isOther) {
      const message = `an archive is refused: ${path} has less in it than the release says`
      throw new ReleaseError("ARCHIVE_REFUSED", message)
    }
  }

  async #placeArchived({ path, mode, content }: ArchivedFile): Promise<void> {
    const part = await writeUnfinished(this.parts, async (file) => {
      let doneBytes = 0
      for await (const bytes of content) {
        await file.writeFile(bytes)
        doneBytes += bytes.length
      }
      return doneBytes
    })
    await this.#quarantine.place(part, { path, mode })
    this.placedCount++
  }
}

function limitsOf({ sizeBytes }: OutgoingFile): ArchiveMark {
  return { entries: ARCHIVE_ENTRIES_MAX, sizeBytes: Math.max(FREE_BYTES, sizeBytes * RATIO_MAX) }
}
