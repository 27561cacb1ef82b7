/**
 * A folder that is made whole or not at all: filled in quarantine beside its place, made durable, and
 * renamed. What a crash leaves behind is found by a note and removed at the next start.
 * @module
 */
import { randomUUID } from "node:crypto"
import { lstat, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { codeOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import { countField, parseSection, textField } from "../core/section.ts"
import { syncFolder, writeNewFile } from "../disk/durable-file.ts"
import { namesIn } from "../disk/folder.ts"
import { ReleaseError, refusal } from "./errors.ts"

const QUARANTINE = /^\.[0-9a-f-]{36}\.opening$/
const NOTE_SUFFIX = ".opening.json"
const NOTE_BYTES_MAX: number = 16 * 1024
const PRIVATE_FOLDER = 0o700
const PRIVATE_FILE = 0o600
const VERSION = 1

/** A folder that is being filled. */
export interface Quarantine {
  /** On the same file system, for files that are not whole yet. */
  readonly parts: string
  /**
   * Gives a file that is whole its name and its permissions.
   * @param path - safe, and distinct from all others (`core/asset-path.ts`)
   */
  place(file: string, options: { readonly path: string; readonly mode: number }): Promise<void>
  /** Makes a folder, which may be there and may stay empty. @param path - as safe as a file's */
  makeFolder(path: string): Promise<void>
}

/**
 * Makes a folder by filling it; on a fault nothing is left of it.
 * @param notes - the folder where it is noted what a crash leaves behind
 * @returns its absolute path
 * @throws {@link ReleaseError} `OUTPUT_EXISTS` unless there is nothing, or an empty folder
 */
export async function makeFolderWhole(
  { target, notes }: { readonly target: string; readonly notes: string },
  fill: (quarantine: Quarantine) => Promise<void>,
): Promise<string> {
  const path = resolve(target)
  await verifyFree(path)
  const id = randomUUID()
  const root = join(dirname(path), `.${id}.opening`)
  const note = join(notes, `${id}${NOTE_SUFFIX}`)
  await mkdir(notes, { recursive: true, mode: PRIVATE_FOLDER })
  await writeNewFile(note, encodeJson({ v: VERSION, path: root }), PRIVATE_FILE)
  let made: string | undefined
  let isDone = false
  try {
    made = await mkdir(dirname(path), { recursive: true })
    await mkdir(root, { mode: PRIVATE_FOLDER })
    const folder = new QuarantineFolder(root)
    await folder.make()
    await fill(folder)
    await folder.settle(path)
    isDone = true
    return path
  } finally {
    await rm(root, { recursive: true, force: true })
    if (!isDone && made !== undefined) await removeEmpty(dirname(path), made)
    await rm(note, { force: true })
  }
}

/**
 * Refuses a place where something is.
 * @throws {@link ReleaseError} `OUTPUT_EXISTS`
 */
export async function verifyFree(target: string): Promise<void> {
  const path = resolve(target)
  try {
    const found = await lstat(path)
    if (found.isDirectory() && (await readdir(path)).length === 0) return
  } catch (error) {
    if (codeOf(error) === "ENOENT") return
    if (codeOf(error) !== "ENOTDIR") throw error
  }
  throw exists(path)
}

/**
 * Removes what a crash left in quarantine, plaintext included. Called once, before anything is opened.
 * @returns the paths that were removed
 */
export async function sweepQuarantine(notes: string): Promise<readonly string[]> {
  const removed: string[] = []
  for (const name of await namesIn(notes)) {
    if (!name.endsWith(NOTE_SUFFIX)) continue
    const note = join(notes, name)
    const path = await readNote(note)
    if (path !== undefined) {
      await rm(path, { recursive: true, force: true })
      removed.push(path)
    }
    await rm(note, { force: true })
  }
  return removed
}

/** A quarantine on the disk: `files` becomes the target, `parts` is thrown away. */
class QuarantineFolder implements Quarantine {
  readonly parts: string
  readonly #files: string
  readonly #folders = new Set<string>()

  constructor(root: string) {
    this.parts = join(root, "parts")
    this.#files = join(root, "files")
  }

  async make(): Promise<void> {
    await mkdir(this.parts, { mode: PRIVATE_FOLDER })
    await mkdir(this.#files)
    this.#folders.add(this.#files)
  }

  async place(
    file: string,
    { path, mode }: { readonly path: string; readonly mode: number },
  ): Promise<void> {
    const place = join(this.#files, path)
    await this.#makeFolders(dirname(place))
    await using handle = await open(file, "r")
    await handle.chmod(mode)
    await handle.sync()
    await rename(file, place)
  }

  async makeFolder(path: string): Promise<void> {
    await this.#makeFolders(join(this.#files, path))
  }

  async #makeFolders(deepest: string): Promise<void> {
    for (let folder = deepest; !this.#folders.has(folder); folder = dirname(folder)) {
      await mkdir(folder, { recursive: true })
      this.#folders.add(folder)
    }
  }

  /** Makes all names durable, then gives the whole its own at once. */
  async settle(target: string): Promise<void> {
    for (const folder of this.#folders) await syncFolder(folder)
    try {
      await rename(this.#files, target)
    } catch (error) {
      // Somebody was faster: a rename takes the place of an empty folder only.
      if (["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(codeOf(error) ?? "")) throw exists(target)
      throw error
    }
    await syncFolder(dirname(target))
  }
}

/** Gives the quarantine that a note is about. It is removed, so it must look like one. */
async function readNote(note: string): Promise<string | undefined> {
  try {
    await using file = await open(note)
    const section = parseSection(new Uint8Array(await file.readFile()), {
      bytesMax: NOTE_BYTES_MAX,
      refuse: refusal("RELEASE_STATE_INVALID"),
    })
    countField(section, "v", { min: VERSION, max: VERSION })
    const path = textField(section, "path")
    return resolve(path) === path && QUARANTINE.test(basename(path)) ? path : undefined
  } catch (error) {
    if (codeOf(error) === "RELEASE_STATE_INVALID") return undefined
    throw error
  }
}

/** Removes folders that were made on the way, from the deepest up, as long as they are empty. */
async function removeEmpty(deepest: string, first: string): Promise<void> {
  try {
    for (let path = deepest; path.length >= first.length; path = dirname(path)) await rmdir(path)
  } catch {
    // Somebody else has put something there meanwhile.
  }
}

function exists(path: string): ReleaseError {
  const message = `${path} is there already, and is no empty folder`
  return new ReleaseError("OUTPUT_EXISTS", message, { details: { path } })
}
