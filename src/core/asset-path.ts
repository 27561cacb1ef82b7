/**
 * Paths of a release's files: safe on every system, and distinct on every system
 * (protocol/release.md §4, paths).
 * @module
 */

/** Longest path in bytes. */
const PATH_BYTES_MAX = 1_024
/** Longest part between slashes in bytes. */
const PART_BYTES_MAX = 255
/** Most parts of a path: what is compared is every folder of every path. */
const PARTS_MAX = 32
/** Most characters of all paths and folders of a set, which is what it keeps in memory. */
const SET_LENGTH_MAX: number = 32 * 1024 * 1024
/** What some system takes for something else, or cannot have in a name, and what does not show. */
const FORBIDDEN = /[\\:<>"|?*\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/u
/** Windows gives a long name a short one too, such as `PROGRA~1`: it may be another file's. */
const SHORT_NAME = /~[0-9]/
/** Windows has these in every folder, in either case, whatever follows a dot. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)/i

/**
 * Tells what is wrong with a set of paths.
 * @returns undefined when they are safe, distinct, and none is another's folder
 */
export function faultOfPaths(paths: readonly string[]): string | undefined {
  const set = new PathSet()
  for (const path of paths) {
    const fault = set.addFile(path)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** The paths of one tree, looked at as they come. */
export class PathSet {
  readonly #files = new Set<string>()
  readonly #folders = new Set<string>()
  #length = 0

  /** @returns what is wrong with it, or undefined once it is in the set */
  addFile(path: string): string | undefined {
    if (!isSafePath(path)) return `unsafe path ${shown(path)}`
    const key = foldCase(path)
    if (this.#files.has(key)) return `two files at ${shown(path)}`
    if (this.#folders.has(key)) return `${shown(path)} is a file and a folder`
    return this.#addFolders(foldersOf(key), path) ?? this.#add(this.#files, key)
  }

  /** Adds a folder, which may be there already. @returns what is wrong with it */
  addFolder(path: string): string | undefined {
    if (!isSafePath(path)) return `unsafe path ${shown(path)}`
    const key = foldCase(path)
    return this.#addFolders([...foldersOf(key), key], path)
  }

  #addFolders(folders: readonly string[], path: string): string | undefined {
    if (folders.some((key) => this.#files.has(key))) return `${shown(path)} is inside a file`
    for (const key of folders) {
      const fault = this.#add(this.#folders, key)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #add(keys: Set<string>, key: string): string | undefined {
    if (keys.has(key)) return undefined
    this.#length += key.length
    if (this.#length > SET_LENGTH_MAX) return "too many long paths"
    keys.add(key)
    return undefined
  }
}

/** Tells whether one path means the same, and no other place, on every system. */
export function isSafePath(path: string): boolean {
  const byteCount = Buffer.byteLength(path)
  if (byteCount < 1 || byteCount > PATH_BYTES_MAX) return false
  // A lone surrogate has no UTF-8: on disk it would become another name.
  if (!path.isWellFormed() || path.normalize("NFC") !== path || FORBIDDEN.test(path)) return false
  const parts = path.split("/")
  return parts.length <= PARTS_MAX && parts.every(isSafePart)
}

function isSafePart(part: string): boolean {
  if (part === "" || Buffer.byteLength(part) > PART_BYTES_MAX || DEVICE.test(part)) return false
  if (SHORT_NAME.test(part)) return false
  // Windows drops a dot or a space at the end; this refuses `.` and `..` too.
  return !part.endsWith(".") && !part.endsWith(" ")
}

/**
 * Upper case between, so that letters with several lower cases (σ, ς) or none (ß) become one; lower
 * case first, since the capital ẞ has no other way to them.
 */
function foldCase(path: string): string {
  return path.toLowerCase().toUpperCase().toLowerCase().normalize("NFC")
}

function foldersOf(path: string): string[] {
  const parts = path.split("/")
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"))
}

const shown = (path: string): string => JSON.stringify(path.slice(0, 80))
