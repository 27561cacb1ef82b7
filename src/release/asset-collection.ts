/**
 * Which files of this machine a release is made of (protocol/release.md §4, paths).
 * @module
 */
import type { Stats } from "node:fs"
import { lstat, readdir } from "node:fs/promises"
import { basename, extname, join } from "node:path"
import { faultOfPaths } from "../core/asset-path.ts"
import { FILES_MAX, MODE_MAX } from "../seal/bag.ts"
import { ReleaseError } from "./errors.ts"

const DEFAULT_TYPE = "application/octet-stream"
const TYPES: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".html": "text/html",
  ".json": "application/json",
  ".md": "text/markdown",
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
}

/**
 * Collects files, sorted by their paths in the release. One folder alone gives its content; with
 * others beside it, it stays a folder of its name.
 * @param paths - absolute paths of files and folders
 * @throws {@link ReleaseError} `PATH_REFUSED` for a link, a special file or a path that is not safe
 * everywhere; `PUBLISH_INVALID` when there is no file, or there are too many
 * @throws Error a fault of the file system, with its code
 */
export async function collectFiles(paths: readonly string[]): Promise<readonly AssetFile[]> {
  const found: AssetFile[] = []
  for (const path of paths) {
    const stats = await lstat(path)
    const isAlone = paths.length === 1 && stats.isDirectory()
    await collect(found, path, { stats, target: isAlone ? "" : basename(path) })
  }
  if (found.length === 0) throw new ReleaseError("PUBLISH_INVALID", "there is no file to publish")
  const fault = faultOfPaths(found.map(({ path }) => path))
  if (fault !== undefined) throw new ReleaseError("PATH_REFUSED", fault)
  return found.sort((one, other) => Buffer.compare(Buffer.from(one.path), Buffer.from(other.path)))
}

/** Tells what kind of content a path says it is. */
export function mediaTypeOf(path: string): string {
  const type = extname(path).toLowerCase()
  return (Object.hasOwn(TYPES, type) ? TYPES[type] : undefined) ?? DEFAULT_TYPE
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
  if (found.length >= FILES_MAX) {
    throw new ReleaseError("PUBLISH_INVALID", `more than ${FILES_MAX} files: pack some of them`)
  }
  const mediaType = mediaTypeOf(target)
  const mode = stats.mode & MODE_MAX
  found.push({ source, path: target, sizeBytes: stats.size, mediaType, mode })
}

function refused(path: string, reason: string): ReleaseError {
  return new ReleaseError("PATH_REFUSED", `${path} ${reason}`, { details: { path } })
}
