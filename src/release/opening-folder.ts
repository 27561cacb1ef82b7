/**
 * A folder that is made whole or not at all: filled in quarantine beside its place, made durable, and
 * renamed. What a crash leaves behind is found by a note and removed at the next start.
 * @module
 */
import { randomUUID } from "node:crypto"
import { constants } from "node:fs"
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
} from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { codeOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import { countField, parseSection, textField } from "../core/section.ts"
import { syncFolder, writeNewFile } from "../disk/durable-file.ts"
import { isWithin, namesIn } from "../disk/folder.ts"
import { giveFile, giveFolder } from "../disk/group-reading.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import { ReleaseError, refusal } from "./errors.ts"
import { giving, type ReaderGroup } from "./reader-group.ts"

const QUARANTINE = /^\.[0-9a-f-]{36}\.opening$/
const NOTE_SUFFIX = ".opening.json"
const NOTE_BYTES_MAX: number = 16 * 1024
const PRIVATE_FOLDER = 0o700
const PRIVATE_FILE = 0o600
const PRIVATE_PROGRAM = 0o700
const OWNER_RUNS = 0o100
/** Of folders on the way to one that is opened; the node's umask takes from it. */
const WAY_FOLDER = 0o777
/** A link in the place of a file is not followed, and what is no file is not waited for. */
const OPEN_PART: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const VERSION = 1

/** A folder that is being filled. */
export interface Quarantine {
  /** On the same file system, for files that are not whole yet. */
  readonly parts: string
  /**
   * Gives a file that is whole its name, and who may read it.
   * @param path - safe, and distinct from all others (`core/asset-path.ts`)
   * @param mode - permission bits, of which only whether the owner may run it counts
   */
  place(file: string, options: { readonly path: string; readonly mode: number }): Promise<void>
  /** Makes a folder, which may be there and may stay empty. @param path - as safe as a file's */
  makeFolder(path: string): Promise<void>
}

/** Where a folder is made, and for whom. */
export interface FolderPlace {
  readonly target: string
  /** The folder where it is noted what a crash leaves behind. */
  readonly notes: string
  /** Who may read it; undefined: its owner alone. */
  readonly readers?: FolderReaders | undefined
}

export interface FolderReaders {
  readonly group: ReaderGroup
  /** The node's own folder: on the way through it every folder is theirs to go through. */
  readonly own: string
}

/**
 * Makes a folder by filling it; on a fault nothing is left of it. It is readable by who shall read it from
 * the moment when it has its name, and by its owner alone until then.
 * @returns its absolute path
 * @throws {@link ReleaseError} `OUTPUT_EXISTS` unless there is nothing, or an empty folder;
 * `OPENED_GROUP_INVALID`
 */
export async function makeFolderWhole(
  { target, notes, readers }: FolderPlace,
  fill: (quarantine: Quarantine) => Promise<void>,
): Promise<string> {
  const path = resolve(target)
  await verifyFree(path)
  const id = randomUUID()
  const root = join(dirname(path), `.${id}.opening`)
  const note = join(notes, `${id}${NOTE_SUFFIX}`)
  await mkdir(notes, { recursive: true, mode: PRIVATE_FOLDER })
  await writeNewFile(note, encodeJson({ v: VERSION, path: root }), PRIVATE_FILE)
  let made: readonly string[] = []
  let isDone = false
  try {
    made = await makeDirectories(dirname(path), WAY_FOLDER)
    if (readers !== undefined) await giveWay(dirname(path), made, readers)
    await mkdir(root, { mode: PRIVATE_FOLDER })
    const folder = new QuarantineFolder(root, readers?.group)
    await folder.make()
    await fill(folder)
    await folder.settle(path)
    isDone = true
    return path
  } finally {
    await rm(root, { recursive: true, force: true })
    if (!isDone) await removeEmpty(made)
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

/** Lets a group go through what was made on the way, and through all of the node's own folder. */
async function giveWay(
  parent: string,
  made: readonly string[],
  { group, own }: FolderReaders,
): Promise<void> {
  await giving(group, parent, async () => {
    for (const folder of made) await giveFolder(folder, group.gid)
    if (!isWithin(parent, own)) return
    const top = await realpath(own)
    for (let folder = await realpath(parent); isWithin(folder, top); folder = dirname(folder)) {
      await giveFolder(folder, group.gid)
    }
  })
}

/** A quarantine on the disk: `files` becomes the target, `parts` is thrown away. */
class QuarantineFolder implements Quarantine {
  readonly parts: string
  readonly #files: string
  readonly #folders = new Set<string>()
  readonly #readers: ReaderGroup | undefined

  constructor(root: string, readers: ReaderGroup | undefined) {
    this.#readers = readers
    this.parts = join(root, "parts")
    this.#files = join(root, "files")
  }

  async make(): Promise<void> {
    await mkdir(this.parts, { mode: PRIVATE_FOLDER })
    await mkdir(this.#files, { mode: PRIVATE_FOLDER })
    this.#folders.add(this.#files)
    // Whether this can be done is known before anything is opened.
    await this.#giveFolder(this.#files)
  }

  async place(
    file: string,
    { path, mode }: { readonly path: string; readonly mode: number },
  ): Promise<void> {
    const place = join(this.#files, path)
    await this.#makeFolders(dirname(place))
    await using handle = await open(file, OPEN_PART)
    await verifyPart(handle, file)
    await this.#giveFile(handle, (mode & OWNER_RUNS) !== 0)
    await handle.sync()
    await rename(file, place)
  }

  async makeFolder(path: string): Promise<void> {
    await this.#makeFolders(join(this.#files, path))
  }

  async #makeFolders(deepest: string): Promise<void> {
    for (let folder = deepest; !this.#folders.has(folder); folder = dirname(folder)) {
      await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER })
      this.#folders.add(folder)
    }
  }

  async #giveFile(file: FileHandle, isProgram: boolean): Promise<void> {
    const group = this.#readers
    if (group === undefined) await file.chmod(isProgram ? PRIVATE_PROGRAM : PRIVATE_FILE)
    else await giveFile(file, { gid: group.gid, isProgram })
  }

  async #giveFolder(path: string): Promise<void> {
    const group = this.#readers
    if (group !== undefined) await giving(group, path, () => giveFolder(path, group.gid))
  }

  /** Makes all names durable, then gives the whole its own at once. */
  async settle(target: string): Promise<void> {
    for (const folder of this.#folders) {
      await this.#giveFolder(folder)
      await syncFolder(folder)
    }
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

/**
 * Refuses what lies in the place of a file that this node wrote: who can write in the folder above the
 * quarantine can exchange it, and its permissions would be given to a file from elsewhere.
 */
async function verifyPart(part: FileHandle, path: string): Promise<void> {
  const found = await part.stat()
  if (!found.isFile() || found.nlink > 1) throw new Error(`${path} was exchanged by somebody`)
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
async function removeEmpty(made: readonly string[]): Promise<void> {
  try {
    for (const path of made.toReversed()) await rmdir(path)
  } catch {
    // Somebody else has put something there meanwhile.
  }
}

function exists(path: string): ReleaseError {
  const message = `${path} is there already, and is no empty folder`
  return new ReleaseError("OUTPUT_EXISTS", message, { details: { path } })
}
