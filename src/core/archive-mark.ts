/**
 * What a release says of an archive that is unpacked when it is opened (protocol/release.md §4,
 * archives).
 * @module
 */

/** Media types of archives that can be unpacked; the second one is compressed with gzip. */
export const ARCHIVE_TYPES = ["application/x-tar", "application/x-tar+gzip"] as const
/** Most entries of an archive, folders included. */
export const ARCHIVE_ENTRIES_MAX = 100_000

export type ArchiveType = (typeof ARCHIVE_TYPES)[number]

/** How much an archive has in it: what it must not exceed while it is unpacked. */
export interface ArchiveMark {
  /** Files and folders, 1 … {@link ARCHIVE_ENTRIES_MAX}. */
  readonly entries: number
  /** Length of the tar in bytes, not compressed, its headers included. */
  readonly sizeBytes: number
}

/** Tells whether files of a media type can be unpacked. */
export function isArchiveType(mediaType: string): mediaType is ArchiveType {
  return (ARCHIVE_TYPES as readonly string[]).includes(mediaType)
}
