/**
 * The bag: names and keys of a release's files, sealed under the release key
 * (protocol/key-schedule.md §4, the bag).
 * @module
 */

import { ARCHIVE_ENTRIES_MAX, type ArchiveMark, isArchiveType } from "../core/archive-mark.ts"
import { faultOfPaths } from "../core/asset-path.ts"
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { asArray, asCount, asObject, asText, field, type JsonValue } from "../core/json.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { base64Field, encodeDocument, hexField, parseDocument } from "./document.ts"
import { SealError } from "./errors.ts"
import { FILE_KEY_BYTES, openPayload, sealPayload } from "./payload.ts"
import { cipherBytesOf, PLAIN_BYTES_MAX } from "./payload-layout.ts"
import { bagKey, erase, isSame } from "./release-key.ts"
import type { SealedFile } from "./sealed-release.ts"

/** Largest bag in bytes, as it is sealed. */
export const BAG_BYTES_MAX: number = 1.5 * 1024 * 1024
/** Most files of a release. */
export const FILES_MAX = 5_000
/** All permission bits. */
export const MODE_MAX = 0o777
/** RFC 6838 §4.2: a type and a subtype of at most 127 characters; parameters may follow. */
const MEDIA_TYPE = /^[!-.0-~]{1,127}\/[ -~]{1,127}$/
const DIGEST_BYTES = 32

/** A file as its bag tells it. */
export interface BagFile {
  /** SHA-256 of the ciphertext, 32 bytes. */
  readonly cipher: Uint8Array
  /** FK, 16 bytes. */
  readonly key: Uint8Array
  readonly path: string
  /** Length of the plaintext in bytes. */
  readonly sizeBytes: number
  readonly mediaType: string
  /** SHA-256 of the plaintext, 32 bytes. */
  readonly plain: Uint8Array
  /** Permission bits, 0 … 511. */
  readonly mode: number
  /** Of an archive that is unpacked when the release is opened. */
  readonly unpack?: ArchiveMark
}

/** Tells whether a text is a media type. */
export function isMediaType(text: string): boolean {
  return MEDIA_TYPE.test(text)
}

/**
 * Seals a bag.
 * @param files - in the release's order
 * @param nonce - 16 random bytes
 * @throws {@link SealError} `BAG_INVALID` when a file has no form that a bag may say, or there are
 * too many
 */
export function sealBag(
  files: readonly BagFile[],
  { releaseKey, nonce }: { readonly releaseKey: Uint8Array; readonly nonce: Uint8Array },
): Uint8Array {
  const plain = encodeDocument({ files: files.map(fieldsOf) })
  const fileKey = bagKey(releaseKey)
  try {
    if (cipherBytesOf(plain.length) > BAG_BYTES_MAX) throw invalid(`${plain.length} bytes`)
    // What is written can be read: one place has the bounds.
    parseBag(plain)
    return sealPayload(plain, { fileKey, nonce })
  } finally {
    erase([plain, fileKey])
  }
}

/**
 * Opens a bag and checks it against the files that the release names.
 * @returns what it tells of them, in the release's order
 * @throws {@link SealError} `BAG_INVALID`
 */
export function openBag(
  bag: Uint8Array,
  { releaseKey, files }: { readonly releaseKey: Uint8Array; readonly files: readonly SealedFile[] },
): readonly BagFile[] {
  if (bag.length > BAG_BYTES_MAX) throw invalid(`${bag.length} bytes`)
  const plain = openSealed(bag, releaseKey)
  try {
    const opened = parseBag(plain)
    checkFiles(opened, files)
    return opened
  } finally {
    erase([plain])
  }
}

function openSealed(bag: Uint8Array, releaseKey: Uint8Array): Uint8Array {
  const fileKey = bagKey(releaseKey)
  try {
    return openPayload(bag, { fileKey })
  } catch (cause) {
    throw invalid("it does not open", cause)
  } finally {
    erase([fileKey])
  }
}

function fieldsOf(file: BagFile): JsonValue {
  const { cipher, key, path, sizeBytes, mediaType, plain, mode, unpack } = file
  return {
    cipher: encodeHex(cipher),
    key: encodeBase64(key),
    path,
    sizeBytes,
    mediaType,
    plain: encodeHex(plain),
    mode,
    ...(unpack !== undefined && { unpack: { ...unpack } }),
  }
}

function parseBag(plain: Uint8Array): readonly BagFile[] {
  const document = parseDocument(plain, { bytesMax: BAG_BYTES_MAX })
  const list = document && asArray(field(document, "files"))
  if (list === undefined || list.length < 1 || list.length > FILES_MAX) {
    throw invalid("it is no list of files")
  }
  const files = list.map(parseFile)
  const fault = faultOfPaths(files.map(({ path }) => path))
  if (fault !== undefined) throw invalid(fault)
  checkTwins(files)
  return files
}

function parseFile(value: JsonValue, index: number): BagFile {
  const fields = asObject(value) ?? {}
  const cipher = hexField(fields, "cipher", DIGEST_BYTES)
  const key = base64Field(fields, "key")
  const path = asText(field(fields, "path"))
  const sizeBytes = asCount(field(fields, "sizeBytes"))
  const mediaType = asText(field(fields, "mediaType"))
  const plain = hexField(fields, "plain", DIGEST_BYTES)
  const mode = asCount(field(fields, "mode"))
  const isWhole =
    cipher !== undefined &&
    key?.length === FILE_KEY_BYTES &&
    path !== undefined &&
    sizeBytes !== undefined &&
    sizeBytes <= PLAIN_BYTES_MAX &&
    mediaType !== undefined &&
    isMediaType(mediaType) &&
    plain !== undefined &&
    mode !== undefined &&
    mode <= MODE_MAX
  if (!isWhole) throw invalid(`file ${index} is malformed`)
  const about = { cipher, key, path, sizeBytes, mediaType, plain, mode }
  const mark = field(fields, "unpack")
  return mark === undefined ? about : { ...about, unpack: parseMark(mark, { index, mediaType }) }
}

function parseMark(
  value: JsonValue,
  { index, mediaType }: { readonly index: number; readonly mediaType: string },
): ArchiveMark {
  const fields = asObject(value) ?? {}
  const entries = asCount(field(fields, "entries"))
  const sizeBytes = asCount(field(fields, "sizeBytes"))
  const isWhole =
    isArchiveType(mediaType) &&
    entries !== undefined &&
    entries >= 1 &&
    entries <= ARCHIVE_ENTRIES_MAX &&
    sizeBytes !== undefined &&
    sizeBytes <= BLOB_BYTES_MAX
  if (!isWhole) throw invalid(`file ${index} is no archive to unpack`)
  return { entries, sizeBytes }
}

/** Two files of one ciphertext have one plaintext. Their keys are compared by their commitments. */
function checkTwins(files: readonly BagFile[]): void {
  const firsts = new Map<string, BagFile>()
  for (const file of files) {
    const key = encodeHex(file.cipher)
    const first = firsts.get(key) ?? file
    if (!isSame(first.plain, file.plain)) throw invalid(`${key} has two plaintexts`)
    firsts.set(key, first)
  }
}

function checkFiles(opened: readonly BagFile[], files: readonly SealedFile[]): void {
  if (opened.length !== files.length) {
    throw invalid(`${opened.length} files, and the release has ${files.length}`)
  }
  for (const [index, { cipher, sizeBytes }] of opened.entries()) {
    const file = files[index]!
    const isSized = cipherBytesOf(sizeBytes) === file.cipherBytes
    if (!isSame(cipher, file.cipher) || !isSized) throw invalid(`file ${index} is another`)
  }
}

function invalid(reason: string, cause?: unknown): SealError {
  return new SealError("BAG_INVALID", `the bag is refused: ${reason}`, { cause })
}
