/**
 * A change of a client's configuration file that can be taken back exactly: what was there before
 * stands beside the file, in `FILE.sealift-undo`, until then.
 * @module
 */
import { randomUUID } from "node:crypto"
import { lstat, open, readFile, rename, rm, rmdir, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { CliError } from "../../cli/errors.ts"
import { digestOf } from "../../core/digest.ts"
import { codeOf, messageOf } from "../../core/errors.ts"
import { asArray, asObject, asText, field, parseJson } from "../../core/json.ts"
import { makeDirectories } from "../../disk/make-directories.ts"

const UNDO_SUFFIX = ".sealift-undo"
const DIRECTORY_MODE = 0o755
const NEW_FILE_MODE = 0o644
const UNDO_FILE_MODE = 0o600
const FILE_BYTES_MAX = 1024 * 1024

/** A file and what it shall hold, made from what it held before `sealift setup` first touched it. */
export interface FileChange {
  readonly path: string
  readonly content: (before: string | undefined) => string
}

export type ChangeOutcome = "written" | "unchanged" | "restored" | "removed" | "nothing to undo"

interface UndoRecord {
  /** Undefined when there was no file. */
  readonly before: string | undefined
  readonly mode: number
  /** Directories that were made for the file, the deepest last. */
  readonly directories: readonly string[]
  /** Digest of what was written. */
  readonly written: string
}

/** Writes a file. Doing it again changes nothing. @throws CliError `SETUP_FAILED` */
export async function applyChange({ path, content }: FileChange): Promise<ChangeOutcome> {
  return await explained(path, async () => {
    const current = await readText(path)
    const record = await readRecord(path)
    // The second time, the first state counts: else undo would restore our own words.
    const before = record === undefined ? current : record.before
    const wanted = content(before)
    if (wanted === current) return "unchanged"
    const mode = record?.mode ?? (await modeOf(path))
    const directories =
      record?.directories ?? (await makeDirectories(dirname(path), DIRECTORY_MODE))
    const written = digestOf(Buffer.from(wanted))
    await writeWhole(
      path + UNDO_SUFFIX,
      JSON.stringify({ before: before ?? null, mode, directories, written }),
      UNDO_FILE_MODE,
    )
    await writeWhole(path, wanted, mode)
    return "written"
  })
}

/** Restores what was there before. @throws CliError `SETUP_FAILED` when the file changed since */
export async function undoChange({ path }: Pick<FileChange, "path">): Promise<ChangeOutcome> {
  return await explained(path, async () => {
    const record = await readRecord(path)
    if (record === undefined) return "nothing to undo"
    const current = await readText(path)
    if (current !== undefined && digestOf(Buffer.from(current)) !== record.written) {
      const advice = `take sealift's lines out by hand, then delete ${path}${UNDO_SUFFIX}`
      throw new CliError("SETUP_FAILED", `${path} was changed since it was set up; ${advice}`)
    }
    if (record.before === undefined) await rm(path, { force: true })
    else await writeWhole(path, record.before, record.mode)
    await rm(path + UNDO_SUFFIX)
    for (const directory of record.directories.toReversed()) {
      // Somebody else may use it by now; then it stays.
      await rmdir(directory).catch(() => {})
    }
    return record.before === undefined ? "removed" : "restored"
  })
}

async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CliError) throw error
    const denied = ["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "")
    const advice = denied ? "; run it as root, or see what to write with --print" : ""
    throw new CliError("SETUP_FAILED", `cannot change ${path}: ${messageOf(error)}${advice}`, {
      cause: error,
    })
  }
}

/** Reads a file of a bounded size; undefined when there is none. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    if (size > FILE_BYTES_MAX) throw new Error(`it is longer than ${FILE_BYTES_MAX} bytes`)
    return await readFile(path, "utf8")
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}

async function readRecord(path: string): Promise<UndoRecord | undefined> {
  const text = await readText(path + UNDO_SUFFIX)
  if (text === undefined) return undefined
  const root = asObject(parseJson(Buffer.from(text), { bytesMax: 2 * FILE_BYTES_MAX })) ?? {}
  const directories = asArray(field(root, "directories")) ?? []
  return {
    before: asText(field(root, "before")),
    mode: Number(field(root, "mode") ?? NEW_FILE_MODE),
    directories: directories.flatMap((entry) => asText(entry) ?? []),
    written: asText(field(root, "written")) ?? "",
  }
}

async function modeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).mode & 0o777
  } catch {
    return NEW_FILE_MODE
  }
}

async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${randomUUID()}`
  try {
    await using file = await open(draft, "wx", mode)
    await file.writeFile(text)
    await file.chmod(mode)
    await file.sync()
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
