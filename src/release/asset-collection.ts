/**
 * Which files of this machine a release is made of (protocol/release.md §4, paths).
 * @module
 */
import type { Stats } from "node:fs"
import { lstat, readdir } from "node:fs/promises"
import { basename, extname, join } from "node:path"
import type { ArchiveMark } from "../core/archive-mark.ts"
import { faultOfPaths } from "../core/asset-path.ts"
import { codeOf } from "../core/errors.ts"
import { FILES_MAX, MODE_MAX } from "../seal/bag.ts"
import { ReleaseError } from "./errors.ts"
import type { VariantPaths } from "./releases.ts"
import type { Variant } from "./variant.ts"

const DEFAULT_TYPE = "application/octet-stream"
const TYPES: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".html": "text/html",
  ".json": "application/json",
  ".md": "text/markdown",
  ".tar": "application/x-tar",
  ".tar.gz": "application/x-tar+gzip",
  ".tgz": "application/x-tar+gzip",
  ".txt": "text/plain",
  ".xml": "application/xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
}

/** A file that shall be in a release. */
export interface AssetFile {
  /** Absolute path on this machine. */
  readonly source: string
  /** Path in the release. */
  readonly path: string
  readonly sizeBytes: number
  readonly mediaType: string
  /** Permission bits. */
  readonly mode: number
  /** Of an archive that is unpacked when the release is opened. */
  readonly unpack?: ArchiveMark
}

/** Files, and which of them are for which nodes. */
export interface CollectedFiles {
  /** Sorted by their paths in the release. */
  readonly files: readonly AssetFile[]
  readonly variants: readonly Variant[]
}

/**
 * Collects files, sorted by their paths in the release. One folder alone gives its content; with
 * others beside it, it stays a folder of its name.
 * @param paths - absolute paths of files and folders
 * @throws {@link ReleaseError} `PATH_REFUSED` for a link, a special file or a path that is not safe
 * everywhere; `PUBLISH_INVALID` when there is no file, one is missing, or there are too many
 * @throws Error another fault of the file system, with its code
 */
export async function collectFiles(paths: readonly string[]): Promise<readonly AssetFile[]> {
  return inOrder(await collectAll(paths, { isAlone: paths.length === 1 }))
}

/**
 * Collects the files of several variants. Each path keeps its name, so that variants have folders of
 * their own; what two of them share is one file.
 * @param common - what belongs to every variant
 * @throws as {@link collectFiles}; {@link ReleaseError} `PUBLISH_INVALID` for a variant without files
 */
export async function collectVariants(
  common: readonly string[],
  variants: readonly VariantPaths[],
): Promise<CollectedFiles> {
  const shared = await collectAll(common, { isAlone: false })
  const files = new Map<string, AssetFile>()
  const all: string[][] = []
  for (const { paths } of variants) {
    const own = [...shared, ...(await collectAll(paths, { isAlone: false }))]
    if (own.length === 0) throw invalid("a variant has no file")
    for (const file of own) files.set(keyOf(file), file)
    if (files.size > FILES_MAX) throw tooMany()
    all.push(own.map(keyOf))
  }
  const sorted = inOrder([...files.values()])
  const places = new Map(sorted.map((file, place) => [keyOf(file), place]))
  return {
    files: sorted,
    variants: variants.map(({ slots }, index) => ({
      slots,
      // A path that was given twice is there once.
      files: [...new Set(all[index]!.map((key) => places.get(key)!))].sort((a, b) => a - b),
    })),
  }
}

/** Tells what kind of content a path says it is. */
export function mediaTypeOf(path: string): string {
  const name = path.toLowerCase()
  const type = name.endsWith(".tar.gz") ? ".tar.gz" : extname(name)
  return (Object.hasOwn(TYPES, type) ? TYPES[type] : undefined) ?? DEFAULT_TYPE
}

/** Two files of one path are a clash; one that two variants name is not. */
function keyOf({ path, source }: AssetFile): string {
  return `${path}\0${source}`
}

async function collectAll(
  paths: readonly string[],
  { isAlone }: { readonly isAlone: boolean },
): Promise<AssetFile[]> {
  const found: AssetFile[] = []
  for (const path of paths) {
    try {
      const stats = await lstat(path)
      const isRoot = isAlone && stats.isDirectory()
      await collect(found, path, { stats, target: isRoot ? "" : basename(path) })
    } catch (error) {
      throw unreadable(path, error) ?? error
    }
  }
  return found
}

/** Gives the error of a path that is not there, or that the node may not read. */
function unreadable(path: string, error: unknown): ReleaseError | undefined {
  const code = codeOf(error)
  if (code === "ENOENT" || code === "ENOTDIR") return invalid(`there is no ${path}`)
  if (code === "EACCES" || code === "EPERM") return invalid(`the node may not read all of ${path}`)
  return undefined
}

function inOrder(files: AssetFile[]): readonly AssetFile[] {
  if (files.length === 0) throw invalid("there is no file to publish")
  const fault = faultOfPaths(files.map(({ path }) => path))
  if (fault !== undefined) throw new ReleaseError("PATH_REFUSED", fault)
  return files.sort((one, other) => Buffer.compare(Buffer.from(one.path), Buffer.from(other.path)))
}

async function collect(
  found: AssetFile[],
  source: string,
  { stats, target }: { readonly stats: Stats; readonly target: string },
): Promise<void> {
  if (stats.isDirectory()) {
    for (const name of (await readdir(source)).sort()) {
      const path = join(source, name)
      const at = target === "" ? name : `${target}/${name}`
      await collect(found, path, { stats: await lstat(path), target: at })
    }
    return
  }
  if (stats.isSymbolicLink()) throw refused(source, "is a link: publish what it leads to")
  if (!stats.isFile()) throw refused(source, "is neither a file nor a folder")
  if (found.length >= FILES_MAX) throw tooMany()
  const mediaType = mediaTypeOf(target)
  const mode = stats.mode & MODE_MAX
  found.push({ source, path: target, sizeBytes: stats.size, mediaType, mode })
}

function tooMany(): ReleaseError {
  return invalid(`more than ${FILES_MAX} files: pack some of them`)
}

function invalid(reason: string): ReleaseError {
  return new ReleaseError("PUBLISH_INVALID", reason)
}

function refused(path: string, reason: string): ReleaseError {
  return new ReleaseError("PATH_REFUSED", `${path} ${reason}`, { details: { path } })
}
