/**
 * Reads archives that nobody is believed: each entry is a file or a folder at a safe path of its own,
 * and neither count nor bytes exceed what was said (protocol/release.md §5, unpacking).
 * @module
 */
import { createReadStream } from "node:fs"
import { pipeline, Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import { type Extract, extract, type Header } from "tar-stream"
import type { ArchiveMark, ArchiveType } from "../core/archive-mark.ts"
import type { PathSet } from "../core/asset-path.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { ReleaseError } from "./errors.ts"

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never

/** A file with holes says another length than it has bytes, by one of these. */
const SPARSE = /^(?:GNU\.sparse|SCHILY\.realsize)/
/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = "\ufffd"
const DESTROYED = "STREAM_DESTROYED"
const HERE = /^(?:\.\/)+/
/** The owner may run it. */
const EXECUTABLE = 0o100

export interface ArchiveReadingOptions {
  readonly mediaType: ArchiveType
  readonly limits: ArchiveMark
  /** Where the archive lies in the release, with a slash at its end; empty: at the top. */
  readonly base: string
  /** Paths that are taken already; those of the archive come in. */
  readonly paths: PathSet
  readonly signal: AbortSignal
}

/** A file of an archive. */
export interface ArchivedFile {
  /** In the release. */
  readonly path: string
  /** 0644 or 0755: nothing else of an archive's permissions, owners and times is kept. */
  readonly mode: number
  /** To be read before the next one. */
  readonly content: AsyncIterable<Uint8Array>
}

/** Takes what an archive has, in its order. */
export interface ArchiveTaker {
  folder(path: string): Promise<void>
  file(file: ArchivedFile): Promise<void>
}

/**
 * Reads an archive to its end.
 * @param source - its path
 * @returns how much was in it
 * @throws {@link ReleaseError} `ARCHIVE_REFUSED` for anything but files and folders, a path that is
 * unsafe or taken, more than the limits, and what is no archive
 * @throws Error a fault of the file system, with its code; what the taker throws
 */
export async function readArchive(
  source: string,
  options: ArchiveReadingOptions,
  taker: ArchiveTaker,
): Promise<ArchiveMark> {
  const read = { entries: 0, sizeBytes: 0 }
  const tar = Readable.from(counted(bytesOf(source, options), read, options.limits))
  const entries = extract()
  tar.once("error", (error) => entries.destroy(error))
  // An entry that nobody reads yet when the archive breaks off says only that it was destroyed.
  let fault: Error | undefined
  entries.once("error", (error) => {
    fault = error
  })
  tar.pipe(entries)
  try {
    for await (const entry of entries) {
      read.entries++
      if (read.entries > options.limits.entries) throw refused("it has more entries than it may")
      await takeEntry(entry, options, taker)
    }
  } catch (error) {
    options.signal.throwIfAborted()
    throw faultOf(codeOf(error) === DESTROYED ? (fault ?? error) : error)
  } finally {
    tar.destroy()
    entries.destroy()
  }
  if (read.entries === 0) throw refused("nothing is in it")
  return read
}

function bytesOf(
  source: string,
  { mediaType, signal }: ArchiveReadingOptions,
): AsyncIterable<Uint8Array> {
  const file = createReadStream(source, { signal })
  if (mediaType === "application/x-tar") return file
  // A fault of either ends both; who reads hears of it.
  return pipeline(file, createGunzip(), () => {})
}

async function* counted(
  parts: AsyncIterable<Uint8Array>,
  read: { sizeBytes: number },
  limits: ArchiveMark,
): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    read.sizeBytes += part.length
    if (read.sizeBytes > limits.sizeBytes) throw refused("it is longer than it may be")
    yield part
  }
}

async function takeEntry(
  entry: Entry,
  { base, paths }: ArchiveReadingOptions,
  taker: ArchiveTaker,
): Promise<void> {
  const { header } = entry
  const path = `${base}${nameOf(header)}`
  if (header.type === "file") {
    verifyPath(paths.addFile(path))
    const mode = (header.mode & EXECUTABLE) === 0 ? 0o644 : 0o755
    await taker.file({ path, mode, content: entry as AsyncIterable<Uint8Array> })
    return
  }
  // Another reader would take what follows for its content, or for headers.
  if (header.size !== 0) throw refused("a folder with content", header)
  // `tar -c .` begins with the folder that everything is in.
  if (path !== base) {
    verifyPath(paths.addFolder(path))
    await taker.folder(path)
  }
  entry.resume()
}

/** Gives the name of a file or folder, without the `./` before it and the slash after a folder's. */
function nameOf(header: Header): string {
  const { name, type } = header
  if (type !== "file" && type !== "directory") {
    throw refused(`it has a ${type ?? "thing of unknown kind"}, not only files and folders`, header)
  }
  if (name.includes(REPLACEMENT)) throw refused("a name that is no UTF-8", header)
  if (Object.keys(header.pax ?? {}).some((key) => SPARSE.test(key))) {
    throw refused("a file with holes", header)
  }
  if (type === "file") return name.replace(HERE, "")
  return `${name.replace(/\/$/, "")}/`.replace(HERE, "").replace(/\/$/, "")
}

function verifyPath(fault: string | undefined): void {
  if (fault !== undefined) throw refused(fault)
}

/** What the readers of tar and gzip say has no code, or one of zlib; others are not of the archive. */
function faultOf(error: unknown): unknown {
  const code = codeOf(error)
  if (code !== undefined && !code.startsWith("Z_")) return error
  const message = `an archive is refused: ${messageOf(error)}`
  return new ReleaseError("ARCHIVE_REFUSED", message, { cause: error })
}

function refused(reason: string, { name }: Partial<Header> = {}): ReleaseError {
  const where = name === undefined ? "" : `: ${JSON.stringify(name.slice(0, 80))}`
  return new ReleaseError("ARCHIVE_REFUSED", `an archive is refused: ${reason}${where}`)
}
