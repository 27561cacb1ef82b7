/**
 * The port to TUF files: bytes by name, from anybody (protocol/tuf-profile.md §4).
 * @module
 */
import { isAbsolute, join } from "node:path/posix"
import { TrustError } from "../errors.ts"

/** Bounds of one reading. */
export interface ReadOptions {
  /** More bytes than these are not read. */
  readonly bytesMax: number
  readonly signal?: AbortSignal | undefined
}

/**
 * A source of files: a node, a web server, a bundle, a folder. None is trusted.
 *
 * Names are those of protocol/tuf-profile.md §4, such as `metadata/timestamp.json`.
 */
export interface TufSource {
  /**
   * Gives the bytes of a file.
   * @returns undefined when the source says that it has no such file
   * @throws {@link TrustError} `TUF_TOO_LARGE`; anything else means that the source gave no answer
   */
  read(name: string, options: ReadOptions): Promise<Uint8Array | undefined>
}

/** Files that can be written too: what a reader keeps, or a repository that an author writes. */
export interface TufFiles extends TufSource {
  /** Writes a file, whole or not at all. When it resolves the file outlives a loss of power. */
  write(name: string, bytes: Uint8Array): Promise<void>
  /** Removes a file; nothing happens when there is none. */
  remove(name: string): Promise<void>
  /** Gives the names of the files below a folder, such as `targets`; none when it is not there. */
  list(folder: string): Promise<readonly string[]>
}

/** The error of a file with more bytes than its bound. */
export function tooLarge(name: string, bytesMax: number): TrustError {
  return new TrustError("TUF_TOO_LARGE", `${name} has more than ${bytesMax} bytes`)
}

/** Tells whether a name stays where it is put: no parent folder, no absolute path. */
export function isFileName(name: string): boolean {
  return name !== "" && !isAbsolute(name) && join(name) === name && !/^\.\.?(\/|$)|\0/.test(name)
}
