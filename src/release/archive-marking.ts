/**
 * Marks the archives of a new release: each is read as a node will when it unpacks it, so that what
 * would be refused there is not published (protocol/release.md §4, archives).
 * @module
 */
import { ARCHIVE_ENTRIES_MAX, type ArchiveMark, isArchiveType } from "../core/archive-mark.ts"
import { PathSet } from "../core/asset-path.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { readArchive } from "./archive-reading.ts"
import type { AssetFile, CollectedFiles } from "./asset-collection.ts"
import { ReleaseError } from "./errors.ts"

const LIMITS: ArchiveMark = { entries: ARCHIVE_ENTRIES_MAX, sizeBytes: BLOB_BYTES_MAX }

/** What comes out of one file of a release: itself, or what is in it. */
interface Outcome {
  readonly unpack: ArchiveMark | undefined
  readonly files: readonly string[]
  readonly folders: readonly string[]
}

/**
 * Gives the files with how much is in each archive.
 * @throws {@link ReleaseError} `ARCHIVE_REFUSED`, also where two files of a variant would come to one
 * place; `PUBLISH_INVALID` when none is an archive
 * @throws Error a fault of the file system, with its code
 */
export async function markArchives(
  { files, variants }: CollectedFiles,
  { signal }: { readonly signal: AbortSignal },
): Promise<CollectedFiles> {
  if (!files.some(({ mediaType }) => isArchiveType(mediaType))) {
    const message = "there is nothing to unpack: name a file that ends in .tar, .tar.gz or .tgz"
    throw new ReleaseError("PUBLISH_INVALID", message)
  }
  const outcomes: Outcome[] = []
  for (const file of files) outcomes.push(await outcomeOf(file, signal))
  for (const variant of variants) verifyTogether(variant.files.map((place) => outcomes[place]!))
  const marked = files.map((file, place) => {
    const { unpack } = outcomes[place]!
    return unpack === undefined ? file : { ...file, unpack }
  })
  return { files: marked, variants }
}

async function outcomeOf(file: AssetFile, signal: AbortSignal): Promise<Outcome> {
  const { source, path, mediaType } = file
  if (!isArchiveType(mediaType)) return { unpack: undefined, files: [path], folders: [] }
  const files: string[] = []
  const folders: string[] = []
  const base = path.slice(0, path.lastIndexOf("/") + 1)
  const options = { mediaType, limits: LIMITS, base, paths: new PathSet(), signal }
  const unpack = await readArchive(source, options, {
    folder: async (folder) => void folders.push(folder),
    file: async ({ path: at, content }) => {
      files.push(at)
      for await (const _ of content) signal.throwIfAborted()
    },
  })
  return { unpack, files, folders }
}

/** Refuses what one node would get twice, or as a file and a folder. */
function verifyTogether(outcomes: readonly Outcome[]): void {
  const paths = new PathSet()
  for (const { files, folders } of outcomes) {
    const faults = [
      ...files.map((path) => paths.addFile(path)),
      ...folders.map((path) => paths.addFolder(path)),
    ]
    const fault = faults.find((one) => one !== undefined)
    if (fault === undefined) continue
    throw new ReleaseError("ARCHIVE_REFUSED", `an archive is refused: ${fault}`)
  }
}
