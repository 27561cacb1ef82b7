/**
 * The files of a release, sealed or plain (protocol/release.md §4).
 * @module
 */

import { ARCHIVE_ENTRIES_MAX, type ArchiveMark, isArchiveType } from "../core/archive-mark.ts"
import { faultOfPaths } from "../core/asset-path.ts"
import { encodeHex } from "../core/byte-text.ts"
import { type Digest, digestOfRaw, hexOf, rawOf } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import {
  countField,
  digestField,
  hasField,
  hashField,
  invalidField,
  type Section,
  sectionField,
  sectionListField,
  textField,
  verifyAbsent,
} from "../core/section.ts"
import { FILES_MAX, isMediaType, MODE_MAX } from "../seal/bag.ts"
import { plainBytesOf } from "../seal/payload-layout.ts"
import type { SealedFile } from "../seal/sealed-release.ts"

const FILES = "files"
const UNPACK = "unpack"

/** A file whose torrent carries its plain bytes. */
export interface PlainFile {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly path: string
  readonly mediaType: string
  /** Permission bits, 0 … 511. */
  readonly mode: number
  /** Of an archive that is unpacked when the release is opened. */
  readonly unpack?: ArchiveMark
}

/** Reads the files of a sealed release: their names and types are in the bag. */
export function sealedFilesField(section: Section): readonly SealedFile[] {
  const sections = fileSections(section)
  const files = sections.map(parseSealedFile)
  verifySizes(
    section,
    files.map(({ cipher, cipherBytes }) => [digestOfRaw(cipher), cipherBytes]),
  )
  return files
}

/** Reads the files of a release that is not sealed. */
export function plainFilesField(section: Section): readonly PlainFile[] {
  const files = fileSections(section).map(parsePlainFile)
  verifySizes(
    section,
    files.map(({ digest, sizeBytes }) => [digest, sizeBytes]),
  )
  const reason = faultOfPaths(files.map(({ path }) => path))
  if (reason !== undefined) throw invalidField(section, FILES, { reason })
  return files
}

export function encodeSealedFile({ cipher, cipherBytes, commitment }: SealedFile): JsonObject {
  const fileKeyCommitment = encodeHex(commitment)
  return { digest: encodeHex(cipher), sizeBytes: cipherBytes, fileKeyCommitment }
}

export function encodePlainFile({ digest, ...rest }: PlainFile): JsonObject {
  const { unpack, ...about } = rest
  return { digest: hexOf(digest), ...about, ...(unpack !== undefined && { unpack: { ...unpack } }) }
}

function fileSections(section: Section): readonly Section[] {
  return sectionListField(section, FILES, { min: 1, max: FILES_MAX })
}

function parseSealedFile(section: Section): SealedFile {
  verifyAbsent(section, ["path", "mediaType", "mode", "unpack"])
  const cipherBytes = countField(section, "sizeBytes", { max: BLOB_BYTES_MAX })
  try {
    plainBytesOf(cipherBytes)
  } catch (cause) {
    throw invalidField(section, "sizeBytes", { reason: "the length of no sealed payload", cause })
  }
  return {
    cipher: rawOf(digestField(section, "digest")),
    cipherBytes,
    commitment: hashField(section, "fileKeyCommitment"),
  }
}

function parsePlainFile(section: Section): PlainFile {
  verifyAbsent(section, ["fileKeyCommitment"])
  const mediaType = textField(section, "mediaType")
  if (!isMediaType(mediaType)) throw invalidField(section, "mediaType", { reason: "no type" })
  return {
    digest: digestField(section, "digest"),
    sizeBytes: countField(section, "sizeBytes", { max: BLOB_BYTES_MAX }),
    path: textField(section, "path"),
    mediaType,
    mode: countField(section, "mode", { max: MODE_MAX }),
    ...unpackField(section, mediaType),
  }
}

function unpackField(section: Section, mediaType: string): { readonly unpack?: ArchiveMark } {
  if (!hasField(section, UNPACK)) return {}
  if (!isArchiveType(mediaType)) throw invalidField(section, UNPACK, { reason: "no archive" })
  const inner = sectionField(section, UNPACK)
  const entries = countField(inner, "entries", { min: 1, max: ARCHIVE_ENTRIES_MAX })
  const sizeBytes = countField(inner, "sizeBytes", { max: BLOB_BYTES_MAX })
  return { unpack: { entries, sizeBytes } }
}

/** One digest has one length. */
function verifySizes(section: Section, files: readonly (readonly [Digest, number])[]): void {
  const sizes = new Map<Digest, number>()
  for (const [digest, sizeBytes] of files) {
    if ((sizes.get(digest) ?? sizeBytes) !== sizeBytes) {
      throw invalidField(section, FILES, { reason: `${digest} has two lengths` })
    }
    sizes.set(digest, sizeBytes)
  }
}
